/** More writes at once than the connection has credits for. */
export async function run({ store, writes, say }) {
  const session = await store.init('n')
  for (let index = 0; index < writes; index++) session.write(`k${index}`, '').catch(() => {})
  say('asked')
}
