/** The scripts are made from the commands, so what is tested is that shells take them. */
import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { cli, lines, shell } from './support/run-cli.js'

interface Words {
  readonly name: string
  readonly options: readonly { readonly flags: readonly string[] }[]
}

test('bash completes commands, options, folders and files', async () => {
  const { status, output, errors } = await shell(`
    eval "$(agent-state completion bash)"
    words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _agent"_state"; echo "\${COMPREPLY[*]}"; }
    words x in; words x --root / put --po; words x put n k /etc/host; words x ls --root /et; words x completion f`)
  expect([status, errors]).toEqual([0, ''])
  const [command, option, files, folders, choice] = output.split('\n')
  expect([command, option, folders, choice]).toEqual(['info', '--policy', '/etc', 'fish'])
  expect(files!.split(' ')).toContain('/etc/hosts')
})

test('all shells get every command with every option', async () => {
  const commands = lines(await cli(['completion', 'bash', '--json'])) as Words[]
  expect(commands.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['ls', 'put', 'verify', 'completion']),
  )
  for (const name of ['bash', 'zsh', 'fish']) {
    const { status, output } = await cli(['completion', name])
    expect(status).toBe(0)
    for (const { name: command, options } of commands) {
      expect(output).toContain(command)
      for (const flag of options.flatMap(({ flags }) => flags)) {
        const written =
          name === 'fish' ? (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`) : flag
        expect(output, `${name} ${command}`).toContain(written)
      }
    }
    // Where the shell is installed it reads the script without a word.
    const checked = spawnSync(name, ['-n'], { input: output, encoding: 'utf8' })
    if (checked.error === undefined) expect(checked.stderr).toBe('')
  }
  expect(await cli(['completion', 'tcsh'])).toMatchObject({ status: 2 })
})
