/** Names that belong to the layout on disk; no key or namespace may take them. */

/** Inside a namespace: the writers of its entries. Reserved as a component of a key. */
export const META_DIRECTORY = '.agent_state_meta'

/** Part of the name of every temporary file of the origin. No component of a key may contain it. */
export const ORIGIN_TEMP_MARKER = '.agent_state_tmp'

/** Inside the root: the store's own files. Reserved as the name of a namespace. */
export const STORE_DIRECTORY = '.agent_state'
