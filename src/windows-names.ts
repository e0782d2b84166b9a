/**
 * Windows gives some names another meaning: separators, streams, devices, endings that it drops.
 * https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file
 */
export const ON_WINDOWS = process.platform === 'win32'

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const REFUSED_CHARACTER = /[\u0000-\u001f<>:"|?*\\]/
const DROPPED_ENDING = /[. ]$/
const DEVICE = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(?:\.|$)/i

/** Whether Windows takes the name as one path component and keeps it as it is. */
export function isWindowsName(name: string): boolean {
  return !REFUSED_CHARACTER.test(name) && !DROPPED_ENDING.test(name) && !isDeviceName(name)
}

/** Whether Windows would open a device instead of a file, whatever the extension. */
export function isDeviceName(name: string): boolean {
  return DEVICE.test(name)
}
