/** Why an archive can't be made or used: wrong use, something in the way, or bytes that are not what they were. */
export class ArchiveError extends Error {
  override readonly name = 'ArchiveError'
  readonly reason: 'usage' | 'refused' | 'damaged' | 'failed'

  constructor(reason: ArchiveError['reason'], message: string) {
    super(message)
    this.reason = reason
  }
}
