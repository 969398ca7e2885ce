/** The systemd unit that `daemon install --print` prints: notifying, watched over, and locked in as far as V8 allows. */

export type UnitOptions = {
  /** Absolute paths: of Node, of this program, of the configuration file. */
  node: string
  program: string
  config: string
  drainSeconds: number
}

/** Beyond the drain, for what is not drained: closing connections, ending workers. */
const stopGraceSeconds = 15

export function systemdUnit(options: UnitOptions): string {
  const { node, program, config, drainSeconds } = options
  const stopSeconds = Math.ceil(drainSeconds) + stopGraceSeconds
  return `# theoneeye as a service. Save as /etc/systemd/system/theoneeye.service, then:
#   systemctl daemon-reload && systemctl enable --now theoneeye
[Unit]
Description=theoneeye workflow engine
Wants=network-online.target
After=network-online.target redis-server.service
# a Redis that stays away for long must not end the attempts
StartLimitIntervalSec=0

[Service]
Type=notify
# READY and WATCHDOG come from the program systemd-notify, a child
NotifyAccess=all
ExecStart=${quote(node)} ${quote(program)} daemon --config ${quote(config)}
ExecReload=/bin/kill -HUP $MAINPID
Environment=NODE_ENV=production THEONEEYE_DATA=%S/theoneeye/data THEONEEYE_FILES=%S/theoneeye/files
Restart=on-failure
RestartSec=2
TimeoutStartSec=90
# given only while loops make progress and Redis answers
WatchdogSec=60
# SIGTERM to the daemon alone, which drains (${drainSeconds} s); what is left after TimeoutStopSec is killed, workers too
KillMode=mixed
TimeoutStopSec=${stopSeconds}

# a user of its own, made at start; what it may write is below /var/lib/theoneeye
DynamicUser=yes
StateDirectory=theoneeye
StateDirectoryMode=0700
WorkingDirectory=%S/theoneeye
UMask=0077

NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
${protectHome(options)}
PrivateTmp=yes
PrivateMounts=yes
PrivateDevices=yes
DevicePolicy=closed
PrivateUsers=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RemoveIPC=yes
LockPersonality=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
# not here: MemoryDenyWriteExecute, since V8 writes the machine code it runs; ProcSubset=pid, since /proc/sys names the
# boot, by which a dead daemon is told from a living one

[Install]
WantedBy=multi-user.target
`
}

/** A Node or a program below a home (nvm, a checkout) could not even be started behind ProtectHome=yes. */
function protectHome({ node, program, config }: UnitOptions): string {
  const inHome = [node, program, config].filter(path => /^\/(home|root|run\/user)\//.test(path))
  if (inHome.length === 0) return 'ProtectHome=yes'
  return `# read-only instead of yes, since this lies below a home: ${inHome.join(', ')}\nProtectHome=read-only`
}

/** As systemd reads words: specifiers and quotes are escaped. */
function quote(word: string): string {
  const escaped = word.replaceAll('%', '%%').replaceAll('$', '$$$$')
  return /^[\w@%+=:,./$-]+$/.test(escaped) ? escaped : `"${escaped.replaceAll(/(["\\])/g, '\\$1')}"`
}
