import { agentState } from './agent-state.js'
import { bareFiles, bareFilesInOneThread } from './bare-files.js'
import type { Contestant } from './contestant.js'
import { floor, floorInPlace } from './floor.js'
import { keyv } from './keyv.js'
import { level } from './level.js'
import { lmdb, lmdbBatched } from './lmdb.js'
import { origin } from './origin.js'
import { sqlite, sqliteBatched, sqliteOurWork } from './sqlite.js'
import { writeFileAtomic } from './write-file-atomic.js'

/** In the order of the tables. */
export const CONTESTANTS: readonly Contestant[] = [
  agentState,
  floor,
  floorInPlace,
  bareFiles,
  bareFilesInOneThread,
  lmdb,
  lmdbBatched,
  sqliteBatched,
  sqliteOurWork,
  sqlite,
  level,
  keyv,
  writeFileAtomic,
  origin,
]

export function contestantOf(name: string): Contestant {
  const found = CONTESTANTS.find((contestant) => contestant.name === name)
  if (found === undefined) throw new TypeError(`there is no contestant ${name}`)
  return found
}
