import { Argument, Command } from 'commander'
import { completionScript, SHELLS, type Shell } from './completion-scripts.js'
import { completionWords } from './completion-words.js'
import { runs, type CommandContext } from './run-command.js'

const HELP = `
Examples:
  eval "$(agent-state completion bash)"      in ~/.bashrc
  eval "$(agent-state completion zsh)"       in ~/.zshrc, after compinit
  agent-state completion fish | source       in ~/.config/fish/config.fish`

/** `program`: the command whose commands are completed. */
export function completionCommand(program: Command): Command {
  return new Command('completion')
    .description('print a script that completes these commands in a shell')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .option('--json', 'print the words that the scripts are made of')
    .addHelpText('after', HELP)
    .action(
      runs<[Shell]>(async ({ output, json }: CommandContext, _options, shell) => {
        const words = completionWords(program)
        if (json) for (const command of words) await output.json(command)
        else await output.write(completionScript(shell, words))
      }),
    )
}
