/** What a variant of the library is explored with; see `variant.ts`. */
export * from './disk/disk-state.js'
export * from './explore.js'
export * from './hunt.js'
export { Random } from './random.js'
export * from './workload.js'
