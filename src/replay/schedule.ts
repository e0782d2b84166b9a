/**
 * Schedule owns the one state that a linear replay of a branched history goes through: the commits one after the other,
 * each on top of what those before it left, whatever branch they are on. From it follows what every commit writes.
 *
 * - A commit with one parent brings its own changes, and removes files that are in the way of a folder it needs.
 * - A merge brings what differs between the state and its own tree, so that the state is its tree afterwards. The last
 *   commit, the head, does the same and brings its own changes.
 * - What the author of a commit had seen of a file is the version in the parent's tree; of a merge, the one of its
 *   parents' versions that is still in the state, otherwise the latest of them.
 *
 * All this depends on the history alone, never on timing: two processes that run it get the same batches. It holds the
 * trees of those commits that later commits build on, and these share what is equal in them.
 */
import {
  differences,
  EMPTY_TREE,
  filesInTheWay,
  findFile,
  TreeEdit,
  type Tree,
  type Version,
} from './history-tree.js'
import { InputError } from './input-error.js'
import { locate } from './location.js'
import type { Outline } from './outline.js'
import type { Commit, Content, Identifier } from './trace.js'

export interface PlannedOperation {
  readonly key: string
  /** Null: delete. */
  readonly content: Content | null
  /** The commit that wrote the version its author had seen; null: had seen the key missing. */
  readonly seen: number | null
  /** The version that it meets; null: the key is missing. */
  readonly current: Version | null
}

/** The part of a commit that touches one namespace. */
export interface Batch {
  readonly commit: number
  readonly author: string
  readonly namespace: string
  readonly operations: readonly PlannedOperation[]
  /** Of the contents written. */
  readonly bytes: number
}

/**
 * Whose change an operation overwrites without its author having seen it; null: nobody's. Who deleted a key that the
 * author had seen, the schedule does not remember.
 */
export function overwrittenAuthor({ seen, current }: PlannedOperation, author: string): string | null {
  return current === null || current.commit === seen || current.author === author ? null : current.author
}

interface OpenCommit {
  readonly tree: Tree
  childrenLeft: number
}

export class Schedule {
  readonly #outline: Outline
  readonly #open = new Map<Identifier, OpenCommit>()
  readonly #skipped = new Set<string>()
  #state: Tree = EMPTY_TREE
  #next = 0

  constructor(outline: Outline) {
    this.#outline = outline
  }

  /** What the store holds after the commits so far. */
  get state(): Tree {
    return this.#state
  }

  /** Paths that were left out because a name in them is too long. */
  get skipped(): ReadonlySet<string> {
    return this.#skipped
  }

  /** How many trees of commits are held besides the state, because later commits build on them. */
  get treesHeld(): number {
    return this.#open.size
  }

  /** The batches of the next commit, one a namespace that it touches. */
  add(commit: Commit): Batch[] {
    const index = this.#next++
    const author = authorName(commit.author)
    const before = this.#state
    const parents = commit.parents.map((id) => this.#takeParent(commit, id))
    const changes = this.#withoutSkipped(commit)
    const parentTree = parents[0] ?? EMPTY_TREE
    const own = applyChanges(commit, changes, parentTree, { commit: index, author })

    const isMerge = parents.length > 1
    const isExact = isMerge || index === this.#outline.commits - 1
    const touched = new Map<string, Content | null>()
    if (!isMerge) addOwnChanges(touched, changes, before)
    if (isExact) for (const { path, to } of differences(before, own)) touched.set(path, to?.content ?? null)

    this.#state = applyTouched(before, touched, { commit: index, author })
    const children = this.#outline.children.get(commit.id) ?? 0
    if (children > 0) {
      const tree = isExact || parentTree === before ? this.#state : own
      this.#open.set(commit.id, { tree, childrenLeft: children })
    }
    const seenIn = isMerge ? parents : [parentTree]
    return toBatches(touched, index, author, (path) => ({
      seen: seenOf(path, seenIn, before),
      current: findFile(before, path) ?? null,
    }))
  }

  #takeParent(commit: Commit, id: Identifier): Tree {
    const parent = this.#open.get(id)
    if (parent === undefined) throw new InputError(`commit ${commit.id} comes before its parent ${id}`)
    parent.childrenLeft -= 1
    if (parent.childrenLeft === 0) this.#open.delete(id)
    return parent.tree
  }

  #withoutSkipped(commit: Commit): Commit['changes'] {
    return commit.changes.filter(({ path }) => {
      if (locate(path) !== null) return true
      this.#skipped.add(path)
      return false
    })
  }
}

export function authorName(author: Identifier): string {
  return typeof author === 'number' ? `author-${author}` : author
}

interface Origin {
  readonly commit: number
  readonly author: string
}

/** Deletions come first: a folder may take the place of a file, or a file that of a folder. */
function applyChanges(commit: Commit, changes: Commit['changes'], parentTree: Tree, origin: Origin): Tree {
  const edit = new TreeEdit(parentTree)
  for (const { path, content } of changes) {
    if (content === null && !edit.delete(path)) {
      throw new InputError(`commit ${commit.id} deletes ${JSON.stringify(path)}, which its parent has not`)
    }
  }
  for (const { path, content } of changes) {
    if (content !== null) edit.write(path, { content, ...origin })
  }
  return edit.done()
}

function addOwnChanges(touched: Map<string, Content | null>, changes: Commit['changes'], state: Tree): void {
  for (const { path, content } of changes) {
    if (content === null) {
      if (findFile(state, path) !== undefined) touched.set(path, null)
      continue
    }
    for (const other of filesInTheWay(state, path)) {
      if (!touched.has(other)) touched.set(other, null)
    }
    touched.set(path, content)
  }
}

function applyTouched(state: Tree, touched: ReadonlyMap<string, Content | null>, origin: Origin): Tree {
  const edit = new TreeEdit(state)
  for (const [path, content] of touched) if (content === null) edit.delete(path)
  for (const [path, content] of touched) if (content !== null) edit.write(path, { content, ...origin })
  return edit.done()
}

function seenOf(path: string, parents: readonly Tree[], state: Tree): number | null {
  const current = findFile(state, path)?.commit ?? null
  const versions = parents.map((tree) => findFile(tree, path)?.commit ?? null)
  if (versions.includes(current)) return current
  const written = versions.filter((version) => version !== null)
  return written.length === 0 ? null : Math.max(...written)
}

type SeenAndCurrent = Pick<PlannedOperation, 'seen' | 'current'>

function toBatches(
  touched: ReadonlyMap<string, Content | null>,
  commit: number,
  author: string,
  look: (path: string) => SeenAndCurrent,
): Batch[] {
  const byNamespace = new Map<string, PlannedOperation[]>()
  for (const [path, content] of touched) {
    const location = locate(path)
    if (location === null) continue
    const { namespace, key } = location
    const operations = byNamespace.get(namespace) ?? []
    operations.push({ key, content, ...look(path) })
    byNamespace.set(namespace, operations)
  }
  return Array.from(byNamespace, ([namespace, operations]) => ({
    commit,
    author,
    namespace,
    operations,
    bytes: operations.reduce((sum, { content }) => sum + (content?.size ?? 0), 0),
  }))
}
