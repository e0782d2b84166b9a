/** How much is measured: for the record, for a first look, or only to see that everything works. */
export interface Profile {
  readonly name: 'full' | 'quick' | 'tiny'
  readonly repetitions: number
  /** Of one measured run. */
  readonly seconds: number
  readonly warmUpSeconds: number
  readonly warmUpOperations: number
  /** The most distinct keys of a burst: below the bound of what may be missing in the tree. */
  readonly burstOperations: number
  readonly sustainedSeconds: number
  /** Callers that throughput and latency are shown over. */
  readonly callers: readonly number[]
}

export const PROFILES: Readonly<Record<Profile['name'], Profile>> = {
  full: {
    name: 'full',
    repetitions: 7,
    seconds: 0.5,
    warmUpSeconds: 0.5,
    warmUpOperations: 100_000,
    burstOperations: 10_000,
    sustainedSeconds: 60,
    callers: [1, 16, 64, 256, 1024],
  },
  quick: {
    name: 'quick',
    repetitions: 3,
    seconds: 0.3,
    warmUpSeconds: 0.3,
    warmUpOperations: 50_000,
    burstOperations: 5_000,
    sustainedSeconds: 5,
    callers: [1, 64, 256],
  },
  tiny: {
    name: 'tiny',
    repetitions: 1,
    seconds: 0.05,
    warmUpSeconds: 0.01,
    warmUpOperations: 20,
    burstOperations: 200,
    sustainedSeconds: 0.2,
    callers: [1, 8],
  },
}

/** The values of a parameter in this profile; a tiny run takes only the first one. */
export function choose<T>(profile: Profile, full: readonly T[], quick: readonly T[]): readonly T[] {
  if (profile.name === 'full') return full
  return profile.name === 'quick' ? quick : quick.slice(0, 1)
}
