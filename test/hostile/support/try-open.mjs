/** Says how opening a root ends. Arguments: root. */
import { openStore } from 'agent-state'
import { say } from './say.mjs'

try {
  await (await openStore({ root: process.argv[2] ?? '' })).close()
  say('opened')
} catch (error) {
  say(String(/** @type {{ code?: string }} */ (error).code))
}
