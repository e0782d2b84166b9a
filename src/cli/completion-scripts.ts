/** Completion scripts for shells, made from what the commands are. */
import type { CommandWords, OptionWords } from './completion-words.js'

export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

export function completionScript(shell: Shell, commands: readonly CommandWords[]): string {
  switch (shell) {
    case 'bash':
      return bashScript(commands)
    case 'zsh':
      return zshScript(commands)
    case 'fish':
      return fishScript(commands)
  }
}

function flagsOf(options: readonly OptionWords[], value?: OptionWords['value']): string[] {
  return options.flatMap((option) => (value === undefined || option.value === value ? option.flags : []))
}

/** In single quotes, as all three shells take it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

function bashScript(commands: readonly CommandWords[]): string {
  const cases = commands.map(({ name, options, choices, takesFiles }) => {
    const values = (['directory', 'file', 'other'] as const).flatMap((value) => {
      const flags = flagsOf(options, value)
      const action = { directory: 'compgen -d', file: 'compgen -f', other: ':' }[value]
      return flags.length === 0 ? [] : [`        ${flags.join('|')}) ${action} -- "$cur"; return ;;`]
    })
    return [
      `    ${name})`,
      ...(values.length === 0 ? [] : ['      case "$prev" in', ...values, '      esac']),
      `      compgen -W ${quoted([...flagsOf(options), ...choices].join(' '))} -- "$cur"`,
      ...(takesFiles ? [`      case "$cur" in -*) ;; *) compgen -f -- "$cur" ;; esac`] : []),
      '      ;;',
    ].join('\n')
  })
  return `# bash completion of agent-state: eval "$(agent-state completion bash)"
_agent_state_words() {
  local cur=$1 prev=$2 command=$3 IFS=$' \\t\\n'
  case "$command" in
${cases.join('\n')}
    *)
      compgen -W ${quoted([...commands.map(({ name }) => name), 'help'].join(' '))} -- "$cur"
      ;;
  esac
}
_agent_state() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command= index
  for ((index = 1; index < COMP_CWORD; index++)); do
    case "\${COMP_WORDS[index]}" in
      --root) ((index++)) ;;
      -*) ;;
      *) command=\${COMP_WORDS[index]}; break ;;
    esac
  done
  local IFS=$'\\n'
  COMPREPLY=($(_agent_state_words "$cur" "$prev" "$command"))
}
complete -o filenames -F _agent_state agent-state
`
}

/** What `_arguments` and `_describe` take for the end of a name. */
function zshText(text: string): string {
  return text.replace(/[\\:[\]]/g, '\\$&')
}

function zshScript(commands: readonly CommandWords[]): string {
  const cases = commands.map(({ name, options, choices, takesFiles }) => {
    const specs = options.flatMap(({ flags, description, value }) => {
      const action = { none: '', directory: ':directory:_files -/', file: ':file:_files', other: ':value: ' }[
        value
      ]
      return flags.map((flag) => quoted(`${flag}[${zshText(description)}]${action}`))
    })
    const words = choices.length > 0 ? `(${choices.join(' ')})` : takesFiles ? '_files' : ' '
    return `    ${name}) _arguments ${[...specs, quoted(`*:argument:${words}`)].join(' \\\n      ')} ;;`
  })
  const names = commands.map(({ name, description }) => `    ${quoted(`${name}:${zshText(description)}`)}`)
  return `#compdef agent-state
# zsh completion of agent-state: eval "$(agent-state completion zsh)"
_agent_state() {
  local -a commands
  commands=(
${names.join('\n')}
  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
${cases.join('\n')}
  esac
}
compdef _agent_state agent-state
`
}

function fishScript(commands: readonly CommandWords[]): string {
  const lines = commands.flatMap(({ name, description, options, choices, takesFiles }) => {
    const isUsed = quoted(`__fish_seen_subcommand_from ${name}`)
    return [
      `complete -c agent-state -n __fish_use_subcommand -a ${name} -d ${quoted(description)}`,
      ...options.map(({ flags, description, value }) => {
        const names = flags.map((flag) =>
          flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
        )
        const action = {
          none: '',
          directory: " -x -a '(__fish_complete_directories)'",
          file: ' -r -F',
          other: ' -x',
        }[value]
        return `complete -c agent-state -n ${isUsed} ${names.join(' ')}${action} -d ${quoted(description)}`
      }),
      ...(choices.length === 0
        ? []
        : [`complete -c agent-state -n ${isUsed} -a ${quoted(choices.join(' '))}`]),
      ...(takesFiles ? [`complete -c agent-state -n ${isUsed} -F`] : []),
    ]
  })
  return `# fish completion of agent-state: agent-state completion fish | source
complete -c agent-state -f
${lines.join('\n')}
`
}
