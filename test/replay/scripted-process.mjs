// Stands in for the replaying process: says what `script.json` in the job's root says, a list of messages for each
// start. Between them may be `await finish`, `exit <status>` and `wait` (for being killed).
import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

let finish = () => {}
const mayFinish = new Promise((resolve) => (finish = resolve))

process.on('message', (message) => {
  if (message.type === 'finish') finish()
  else void play(message.job.root)
})
process.on('disconnect', () => process.exit(3))

async function play(root) {
  const starts = join(root, 'starts')
  appendFileSync(starts, '.')
  const script = JSON.parse(readFileSync(join(root, 'script.json'), 'utf8'))
  for (const step of script[readFileSync(starts).length - 1]) {
    if (step === 'wait') return
    else if (step === 'await finish') await mayFinish
    else if (typeof step === 'string') process.exit(Number(step.split(' ')[1]))
    else await new Promise((resolve) => process.send(step, resolve))
  }
  process.exit(0)
}
