/** An owner of the root that hangs: a signal ends the command that goes through it all the same. */
import { symlinkSync } from 'node:fs'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { closedRoot, endOf, seen, startCli } from './support/run-cli.js'

async function filledRoot(): Promise<string> {
  return closedRoot(async (store) => (await store.init('n')).write('k', 'v'))
}

async function ownerOf(root: string): Promise<ChildProcess> {
  const owner = startCli(['watch', 'n', '--root', root])
  await seen(owner.stderr!, /watching/)
  return owner
}

test.each<[NodeJS.Signals, number]>([
  ['SIGINT', 130],
  ['SIGTERM', 143],
])('%s ends watch with %i', async (signal, status) => {
  const root = await filledRoot()
  const owner = await ownerOf(root)
  const child = startCli(['watch', 'n', '--initial', '--root', root])
  const ended = endOf(child)
  await seen(child.stdout!, /ready/)
  owner.kill('SIGSTOP')
  child.kill(signal)
  expect(await ended).toMatchObject({ status, signal: null })
})

test('ctrl-c ends verify, which asks the owner to bring its files up to date', async () => {
  const root = await filledRoot()
  const owner = await ownerOf(root)
  // More findings than fit into a pipe: it waits for its reader.
  const name = 'x'.repeat(200)
  for (let index = 0; index < 2000; index++) symlinkSync('/', join(root, 'n', `${name}${index}`))
  const child = startCli(['verify', '--root', root])
  await once(child.stdout!, 'readable')
  owner.kill('SIGSTOP')
  child.kill('SIGINT')
  expect(await endOf(child)).toMatchObject({ status: 130, signal: null })
})
