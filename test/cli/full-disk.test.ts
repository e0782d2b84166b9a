/** A disk that is really full: a small one of its own, where the system lets a user make one. */
import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { shell } from './support/run-cli.js'

const MOUNT = ['-rm', 'sh', '-c', 'mount -t tmpfs -o size=1m none /mnt']
/** Containers mostly forbid it, and other systems have other ways. */
const CAN_MOUNT = process.platform === 'linux' && spawnSync('unshare', MOUNT).status === 0

/** Ends with what `ls`, `verify` and the last `put` say once there is room again. */
const SCRIPT = `
mount -t tmpfs -o size=16m none /mnt || exit 99
as() { "$NODE" "$PROGRAM" "$@" --root /mnt/root; }
head -c 7000000 /dev/zero > /mnt/filler
for i in 1 2 3 4 5 6; do
  head -c 1000000 /dev/zero | as put n k$i > /dev/null 2>> /tmp/errors.$$
  echo "put $i $?"
done
as info > /dev/null; echo "info $?"
rm /mnt/filler
as ls n
as verify > /dev/null; echo "verify $?"
echo last | as put n last > /dev/null; echo "put last $?"
cat /tmp/errors.$$; rm /tmp/errors.$$
`

test.runIf(CAN_MOUNT)(
  'on a full disk, what fails says so in lines of its own, and what was written is there',
  async () => {
    const { status, output, errors } = await shell(`unshare -rm sh -c "$SCRIPT"`, { env: { SCRIPT } })
    const lines = output.trimEnd().split('\n')
    expect([status, errors], output).toEqual([0, ''])
    const puts = lines.flatMap((line) => /^put (\d) (\d+)$/.exec(line)?.slice(1).map(Number) ?? [])
    const written = puts.filter((_, index) => index % 2 === 0 && puts[index + 1] === 0)
    const failed = puts.filter((_, index) => index % 2 === 0 && puts[index + 1] !== 0)
    expect(written.length, output).toBeGreaterThan(0)
    expect(failed.length, output).toBeGreaterThan(0)
    for (const number of written) expect(lines).toContain(`k${number}`)
    expect(lines).toEqual(expect.arrayContaining(['info 0', 'verify 0', 'put last 0']))
    const complaints = lines.filter((line) => line.startsWith('agent-state'))
    expect(complaints.length).toBeGreaterThan(0)
    for (const line of complaints)
      expect(line).toMatch(/^agent-state put: (warning: )?(NO_SPACE|TREE_STUCK|CLOSE_INCOMPLETE): /)
    expect(lines.filter((line) => !/^(put|info|verify|k\d|agent-state)/.test(line))).toEqual([])
  },
)
