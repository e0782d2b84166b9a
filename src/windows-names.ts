/**
 * Windows gives some names another meaning: separators, streams, devices, short names, endings that it drops.
 * https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file
 */
export const ON_WINDOWS = process.platform === 'win32'

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const REFUSED_CHARACTER = /[\u0000-\u001f<>:"|?*\\]/
const DROPPED_ENDING = /[. ]$/
/** As Windows itself makes them up: `GIT~1` opens `.git`. */
const SHORT_NAME = /^(?=[^.]{1,8}(?:\.|$))[^.]*~[0-9]+(?:\.|$)/
const DEVICE = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(?:\.|$)/i

/** Whether Windows takes the name as one path component and keeps it as it is. */
export function isWindowsName(name: string): boolean {
  return ![REFUSED_CHARACTER, DROPPED_ENDING, SHORT_NAME, DEVICE].some((pattern) => pattern.test(name))
}

/** Whether Windows would open a device instead of a file, whatever the extension. */
export function isDeviceName(name: string): boolean {
  return DEVICE.test(name)
}
