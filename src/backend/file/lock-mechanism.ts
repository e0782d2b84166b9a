/**
 * Ways to hold a lock that the kernel takes back when the process ends. Node itself can't lock a file. On Linux and
 * macOS a lock of `flock` belongs to the open file, not to the process that asked for it: a helper that inherits our
 * descriptor, locks it and exits leaves the lock with us. Other openings of the file, in this process too, are then
 * refused. Programs that we start don't inherit the descriptor (Node marks it close-on-exec), so they don't prolong
 * the lock.
 *
 * Where there is no helper (an image with nothing but Node in it, Windows) the address of a listening socket is the
 * lock. On Linux it is seen only by processes of one network namespace.
 */
import { spawn } from 'node:child_process'
import { createServer } from 'node:net'

export type LockAttempt =
  | { readonly status: 'locked'; release(): void }
  /** Somebody else has it. */
  | { readonly status: 'owned' }
  /** There is no such mechanism here. */
  | { readonly status: 'missing' }
  /** There is, but it does not work on this file. */
  | { readonly status: 'unavailable'; readonly reason: string }

export type LockMechanism = (
  fd: number,
  file: { readonly dev: number; readonly ino: number },
) => Promise<LockAttempt>

/** In the order in which they are tried. */
export function lockMechanisms(platform: NodeJS.Platform): readonly LockMechanism[] {
  if (platform === 'win32') return [namedPipe]
  return platform === 'linux' ? [flockCommand, perlFlock, abstractSocket] : [flockCommand, perlFlock]
}

/** Of util-linux or busybox. */
export const flockCommand: LockMechanism = (fd) => lockWithHelper('flock', ['-xn', '3'], fd)

const PERL_FLOCK = `
use Fcntl qw(:flock); use Errno;
open(my $file, "+<&=", 3) or die "$!";
exit 0 if flock($file, LOCK_EX | LOCK_NB);
die "$!" unless $!{EWOULDBLOCK};
exit 1`

/** macOS comes with perl, but without `flock`. */
export const perlFlock: LockMechanism = (fd) => lockWithHelper('perl', ['-e', PERL_FLOCK], fd)

export const abstractSocket: LockMechanism = (_fd, { dev, ino }) => listen(`\0agent-state-${dev}-${ino}`)

export const namedPipe: LockMechanism = (_fd, { dev, ino }) =>
  listen(`\\\\.\\pipe\\agent-state-${dev}-${ino}`)

const REASON_CHARACTERS_MAX = 500
/** Searched behind the caller's own: every store on a machine should find the same helpers. */
const SYSTEM_DIRECTORIES = '/usr/bin:/bin:/usr/sbin:/sbin'

function lockWithHelper(command: string, args: readonly string[], fd: number): Promise<LockAttempt> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      // The third one from here is the helper's descriptor 3.
      stdio: ['ignore', 'ignore', 'pipe', fd],
      env: { PATH: searchPath(process.env['PATH']), LC_ALL: 'C' },
    })
    let complaint = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(0, REASON_CHARACTERS_MAX)
    })
    child.on('error', (error: NodeJS.ErrnoException) => {
      const missing = error.code === 'ENOENT' || error.code === 'EACCES'
      resolve(missing ? { status: 'missing' } : { status: 'unavailable', reason: error.message })
    })
    child.on('close', (code, signal) => {
      if (code === 0) resolve({ status: 'locked', release() {} })
      // Both helpers are silent when the lock is taken; busybox has the same exit code for other failures.
      else if (code === 1 && complaint === '') resolve({ status: 'owned' })
      else
        resolve({
          status: 'unavailable',
          reason: `${command} failed (${complaint.trim() || (signal ?? code)})`,
        })
    })
  })
}

function searchPath(own: string | undefined): string {
  return own === undefined || own === '' ? SYSTEM_DIRECTORIES : `${own}:${SYSTEM_DIRECTORIES}`
}

function listen(address: string): Promise<LockAttempt> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) => {
      resolve(
        error.code === 'EADDRINUSE' ? { status: 'owned' } : { status: 'unavailable', reason: error.message },
      )
    })
    // `exclusive`: in a cluster the primary would otherwise listen for all of its workers.
    server.listen({ path: address, exclusive: true }, () => {
      // An open store does not keep the process alive, and a later error of the socket does not end it.
      server.unref()
      server.on('error', () => undefined)
      resolve({ status: 'locked', release: () => void server.close() })
    })
  })
}
