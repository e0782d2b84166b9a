/**
 * The greeting is the first message in every port of a store, put there when the port is made. So whoever is given a port
 * can tell at once, without waiting for anybody, whether a store is on its other side.
 */
import type { Limits } from '../limits.js'
import { normalizeWriter } from '../writer.js'
import type { Bounds } from './bounds.js'
import { PROTOCOL, type Greeting } from './wire.js'

export interface GreetingContent {
  readonly store: string
  readonly token: string
  readonly root: string
  readonly limits: Limits
  readonly state: 'open' | 'failed'
  readonly bounds: Bounds
  readonly isOwner: boolean
}

export function makeGreeting({ bounds, ...content }: GreetingContent): Greeting {
  const { namespaces, readOnly, writer } = bounds
  return {
    ...content,
    agentState: PROTOCOL,
    namespaces: namespaces === null ? null : [...namespaces],
    readOnly,
    writer: writer === null ? null : { ...writer },
  }
}

/** Throws `TypeError` for what is no greeting, or not one of this version. */
export function readGreeting(message: unknown): GreetingContent {
  const greeting = message as Greeting | null
  if (typeof greeting !== 'object' || greeting === null || !Object.hasOwn(greeting, 'agentState')) {
    throw new TypeError('the port is none that createPort() made, or somebody has read from it')
  }
  if (greeting.agentState !== PROTOCOL) {
    throw new TypeError(
      `the port's store speaks protocol ${String(greeting.agentState)}, here it is ${PROTOCOL}`,
    )
  }
  const { store, token, root, limits, state, namespaces, readOnly, writer, isOwner } = greeting
  const bounds: Bounds = {
    namespaces: namespaces === null ? null : new Set(namespaces),
    readOnly,
    writer: normalizeWriter(writer),
  }
  return { store, token, root, limits, state, bounds, isOwner }
}
