/**
 * A service manager's end of sd_notify: a real datagram socket, read by the Perl that every Debian has (Node has none of
 * this kind). Tests wait for messages as they come.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'
import { tempDir } from './temp-dir.ts'

const reader = `
use IO::Socket::UNIX; use Socket;
my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $ARGV[0]) or die "cannot listen: $!";
$| = 1; print "listening\\n";
while (defined $socket->recv(my $message, 65536)) { $message =~ s/\\n/;/g; print "$message\\n" }
`

export class NotifySocket {
  readonly path: string
  /** Each message; its lines are joined by ";". */
  readonly messages: string[] = []
  readonly #child: ChildProcess
  #onMessage: () => void = () => undefined

  private constructor(path: string) {
    this.path = path
    this.#child = spawn('perl', ['-e', reader, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  }

  static async open(): Promise<NotifySocket> {
    const socket = new NotifySocket(join(tempDir(), 'notify'))
    const lines = createInterface({ input: socket.#child.stdout as NodeJS.ReadableStream })
    lines.on('line', line => {
      // how systemd-notify waits until it was heard
      if (line === 'BARRIER=1') return
      socket.messages.push(line)
      socket.#onMessage()
    })
    onTestFinished(async () => {
      socket.#child.kill('SIGKILL')
      await once(socket.#child, 'close')
    })
    await socket.until(line => line === 'listening')
    socket.messages.shift()
    return socket
  }

  /** Resolves to the first message that fits, also an earlier one. */
  async until(fits: (message: string) => boolean): Promise<string> {
    for (;;) {
      const found = this.messages.find(fits)
      if (found !== undefined) return found
      await new Promise<void>(resolve => {
        this.#onMessage = resolve
      })
    }
  }
}
