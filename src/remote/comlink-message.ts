/**
 * What comlink's listeners get to see. Comlink does what a message says: it follows any path of properties, sets what it
 * finds, constructs, hands out ports. So a message is taken apart first, and only two kinds go on, made anew from what was
 * found in them: a call of an exposed method with one plain argument, and the answer to such a call.
 */

/** As comlink writes them. Ids are random, so that nobody can answer a call that did not reach him. */
export interface CallMessage {
  readonly id: string
  readonly type: 'APPLY'
  readonly path: readonly string[]
  readonly argumentList: readonly [{ readonly type: 'RAW'; readonly value: unknown }]
}

export type AnswerMessage =
  | { readonly id: string; readonly type: 'RAW'; readonly value: undefined }
  | { readonly id: string; readonly type: 'HANDLER'; readonly name: 'throw'; readonly value: ThrownValue }

interface ThrownValue {
  readonly isError: true
  readonly value: { readonly name: string; readonly message: string; readonly stack: string }
}

export type SiftedMessage =
  | { readonly kind: 'call'; readonly message: CallMessage }
  | { readonly kind: 'answer'; readonly message: AnswerMessage }
  /** With an id, whoever sent it can be told. */
  | { readonly kind: 'refused'; readonly id: string | null; readonly reason: string }

const ID_LENGTH_MAX = 200

export function siftMessage(data: unknown, methods: ReadonlySet<string>): SiftedMessage {
  if (typeof data !== 'object' || data === null)
    return { kind: 'refused', id: null, reason: 'it is no object' }
  const id = idOf(own(data, 'id'))
  if (id === null) return { kind: 'refused', id, reason: 'it has no id' }
  const type = own(data, 'type')
  if (type === 'RAW' || type === 'HANDLER') return siftAnswer(id, type, data)
  if (type !== 'APPLY') return { kind: 'refused', id, reason: 'only calls are taken' }
  const method = methodOf(own(data, 'path'), methods)
  if (method === null) return { kind: 'refused', id, reason: 'there is no such method' }
  const argument = onlyItem(own(data, 'argumentList'))
  if (argument === null || own(argument, 'type') !== 'RAW') {
    return { kind: 'refused', id, reason: 'a call has one plain argument' }
  }
  const value = own(argument, 'value')
  const message = { id, type, path: [method], argumentList: [{ type: 'RAW', value }] } as const
  return { kind: 'call', message }
}

/** What a caller gets whose message was refused. */
export function refusal(id: string, reason: string): AnswerMessage {
  return thrown(id, 'TypeError', `the message was refused: ${reason}`, '')
}

function siftAnswer(id: string, type: 'RAW' | 'HANDLER', data: object): SiftedMessage {
  if (type === 'RAW') return { kind: 'answer', message: { id, type, value: undefined } }
  const wrapped = own(data, 'value')
  const error = isObject(wrapped) ? own(wrapped, 'value') : undefined
  if (own(data, 'name') !== 'throw' || !isObject(error)) {
    // Not to be answered: an answer to an answer could go on for ever.
    return { kind: 'refused', id: null, reason: 'only plain answers and errors are taken' }
  }
  const [name, text, stack] = [own(error, 'name'), own(error, 'message'), own(error, 'stack')]
  return { kind: 'answer', message: thrown(id, textOr(name, 'Error'), textOr(text, ''), textOr(stack, '')) }
}

function thrown(id: string, name: string, message: string, stack: string): AnswerMessage {
  return { id, type: 'HANDLER', name: 'throw', value: { isError: true, value: { name, message, stack } } }
}

function idOf(id: unknown): string | null {
  return typeof id === 'string' && id.length > 0 && id.length <= ID_LENGTH_MAX ? id : null
}

function methodOf(path: unknown, methods: ReadonlySet<string>): string | null {
  const name = Array.isArray(path) && path.length === 1 ? (path[0] as unknown) : null
  return typeof name === 'string' && methods.has(name) ? name : null
}

function onlyItem(list: unknown): object | null {
  const item = Array.isArray(list) && list.length === 1 ? (list[0] as unknown) : null
  return isObject(item) ? item : null
}

function own(object: object, name: string): unknown {
  return Object.hasOwn(object, name) ? (object as Record<string, unknown>)[name] : undefined
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function textOr(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise
}
