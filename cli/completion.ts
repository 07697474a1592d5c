import { Argument, Command } from 'commander'
import { addHelpEnding } from './help.ts'
import { print } from './print.ts'

/** `promptbridge completion bash`: a script with which the shell completes commands and options. */
export function completionCommand(): Command {
  const command = new Command('completion').addArgument(new Argument('<shell>', 'the shell').choices(['bash', 'zsh']))
  return addHelpEnding(command, {
    examples: [
      ['promptbridge completion bash > ~/.local/share/bash-completion/completions/promptbridge', 'install it for bash'],
      ['promptbridge completion zsh >> ~/.zshrc', 'install it for zsh'],
    ],
    needsSettings: false,
  })
    .exitOverride()
    .action((shell: string) => print(`${shell === 'zsh' ? LOAD_BASH : ''}${script(command.parent ?? command)}`))
}

/** zsh can run the functions of bash's completion. */
const LOAD_BASH = 'autoload -U +X bashcompinit && bashcompinit\n'

function script(program: Command): string {
  const cases = wordsOf(program, '').map(([path, words]) => `    '${path}') words='${words.join(' ')}' ;;\n`)
  return `_promptbridge() {
  local path='' word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in -*) break ;; *) path="$path $word" ;; esac
  done
  local words=''
  while :; do
    case "\${path# }" in
${cases.join('')}    esac
    [[ -n $words || -z $path ]] && break
    path="\${path% *}"
  done
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _promptbridge promptbridge
`
}

/** The words that may follow each command. */
function wordsOf(command: Command, path: string): readonly (readonly [path: string, words: readonly string[]])[] {
  const flags = command.options.flatMap(({ hidden, long }) => (hidden || !long ? [] : [long]))
  const names = command.commands.map((inner) => inner.name())
  const inner = command.commands.flatMap((each) => wordsOf(each, `${path} ${each.name()}`.trim()))
  return [[path, [...names, ...flags, '--help']], ...inner]
}
