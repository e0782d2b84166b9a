/**
 * InFlight owns the count of commits that are under way, and of the bytes of their contents, which are in memory.
 * Whoever starts another one waits while either is at its bound; a commit larger than the bound goes alone. After a
 * failure nothing more is started, and whoever waits is told (I11).
 */
export class InFlight {
  readonly #commitsMax: number
  readonly #bytesMax: number
  #commits = 0
  #bytes = 0
  #failure: { readonly error: unknown } | null = null
  #wake: (() => void) | null = null

  constructor(commitsMax: number, bytesMax: number) {
    this.#commitsMax = commitsMax
    this.#bytesMax = bytesMax
  }

  /** Runs `work` beside the others as soon as there is room; resolves when it was started. Only one may wait. */
  async start(bytes: number, work: () => Promise<void>): Promise<void> {
    await this.#until(() => this.#failure !== null || this.#hasRoom(bytes))
    if (this.#failure !== null) throw this.#failure.error
    this.#commits += 1
    this.#bytes += bytes
    work().then(
      () => this.#settle(bytes, null),
      (error: unknown) => this.#settle(bytes, { error }),
    )
  }

  /** Waits until nothing is under way any more; rejects if anything failed. */
  async done(): Promise<void> {
    await this.#until(() => this.#commits === 0)
    if (this.#failure !== null) throw this.#failure.error
  }

  #hasRoom(bytes: number): boolean {
    return this.#commits === 0 || (this.#commits < this.#commitsMax && this.#bytes + bytes <= this.#bytesMax)
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => (this.#wake = resolve))
  }

  #settle(bytes: number, failure: { readonly error: unknown } | null): void {
    this.#commits -= 1
    this.#bytes -= bytes
    this.#failure ??= failure
    this.#wake?.()
    this.#wake = null
  }
}
