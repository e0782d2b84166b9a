/** `watch` and `conflicts --follow`, which go on until they are told to end. */
import { expect, test } from 'vitest'
import { cli, endOf, ownedStore, seen, startCli, temporaryRoot } from './support/run-cli.js'

test('watch shows what is there and what changes, through the owner, until ctrl-c ends it with 130', async () => {
  const root = temporaryRoot()
  const session = await (await ownedStore(root)).init('n', { writer: { writerId: 'ada' } })
  await session.write('a', '1')
  const child = startCli(['watch', 'n', '--initial', '--json', '--root', root])
  const ended = endOf(child)
  await seen(child.stdout!, /"ready"/)
  await session.write('b', '2')
  await session.delete('a')
  await seen(child.stdout!, /"delete"/)
  child.kill('SIGINT')
  const { status, output, errors } = await ended
  expect([status, errors]).toEqual([130, "agent-state watch: watching 'n', ctrl-c ends it\n"])
  expect(
    output
      .trimEnd()
      .split('\n')
      .map((line): unknown => JSON.parse(line)),
  ).toMatchObject([
    { type: 'initial', key: 'a' },
    { type: 'ready' },
    { type: 'change', kind: 'write', key: 'b', writer: { writerId: 'ada' } },
    { type: 'change', kind: 'delete', key: 'a' },
  ])
})

test('watch ends when its output is closed, and when the owner of the root closes it', async () => {
  const root = temporaryRoot()
  const store = await ownedStore(root)
  const session = await store.init('n')
  await session.write('a', '1')
  const child = startCli(['watch', 'n', '--initial', '--root', root])
  const ended = endOf(child)
  await seen(child.stdout!, /ready/)
  child.stdout!.destroy()
  // It learns of it when it writes: the system may take a line or two before it tells.
  const writing = setInterval(() => void session.write('b', '2').catch(() => {}), 20)
  const { status, errors } = await ended
  clearInterval(writing)
  expect([status, errors]).toEqual([0, "agent-state watch: watching 'n', ctrl-c ends it\n"])

  const other = startCli(['watch', 'n', '--initial', '--root', root])
  const otherEnded = endOf(other)
  await seen(other.stdout!, /ready/)
  await store.close()
  expect(await otherEnded).toMatchObject({ status: 1, errors: expect.stringContaining('owner') })
})

test('conflicts --follow shows who overwrote whom, refused ones too', async () => {
  const root = temporaryRoot()
  const store = await ownedStore(root)
  const ada = await store.init('n', { writer: { writerId: 'ada' } })
  const bob = await store.init('n', { writer: { writerId: 'bob' }, conflictPolicy: 'error' })
  await ada.write('k', '1')
  const child = startCli(['conflicts', 'n', '--follow', '--root', root])
  const ended = endOf(child)
  const shown = seen(child.stdout!, /bob after ada/)
  // It says that it follows before the owner has heard of it.
  const writing = setInterval(() => void bob.write('k', '2').catch(() => {}), 20)
  await shown
  clearInterval(writing)
  child.kill('SIGINT')
  const { status, output } = await ended
  expect(status).toBe(130)
  expect(output.split('\n')[0]).toMatch(/^20\S+Z {2}refused {2}bob after ada \(\d+\) {2}error {2}n {2}k$/)
})

test('watch of a namespace that is not there, and of a past that is not in memory, say so', async () => {
  const root = temporaryRoot()
  await (await ownedStore(root)).init('n')
  expect(await cli(['watch', 'm', '--root', root])).toMatchObject({ status: 3 })
  const past = await cli(['watch', 'n', '--after', '0', '--root', root])
  expect(past).toMatchObject({ status: 1, errors: expect.stringContaining('REVISION_COMPACTED') })
})
