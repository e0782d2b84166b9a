import type { Backend } from '../backend.js'
import type { FileSettings } from '../../open-options.js'
export function fileBackend(settings: FileSettings): Backend {
  throw new Error(`not built yet: ${settings.root}`)
}
