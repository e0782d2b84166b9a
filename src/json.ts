/** JSON values: encoded for people to read, parsed and validated with any Standard Schema. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Schema, SchemaOutput } from './api.js'
import { stateError } from './errors.js'
import { typeName } from './messages.js'

/** Pretty-printed, with a final newline. */
export function encodeJson(value: unknown): string {
  const text = JSON.stringify(value, null, 2) as string | undefined
  if (text === undefined) throw new TypeError(`${typeName(value)} can't be written as JSON`)
  return `${text}\n`
}

export function parseJson(text: string, namespace: string, key: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    throw mismatch([{ message: `not JSON: ${message}` }], namespace, key, cause)
  }
}

export async function validateJson<S extends Schema>(
  schema: S,
  value: unknown,
  namespace: string,
  key: string,
): Promise<SchemaOutput<S>> {
  const result = await schema['~standard'].validate(value)
  if (result.issues !== undefined) throw mismatch(result.issues, namespace, key, undefined)
  return result.value
}

function mismatch(
  issues: readonly StandardSchemaV1.Issue[],
  namespace: string,
  key: string,
  cause: unknown,
): Error {
  const first = issues[0]?.message ?? 'no reason given'
  return stateError('SCHEMA_MISMATCH', `the value of key '${key}' does not fit its schema: ${first}`, {
    namespace,
    key,
    issues,
    cause,
  })
}

export function isSchema(value: unknown): value is Schema {
  return (typeof value === 'object' || typeof value === 'function') && value !== null && '~standard' in value
}

export function noSchema(): TypeError {
  return new TypeError('schema must implement Standard Schema')
}
