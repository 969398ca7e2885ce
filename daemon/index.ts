/** `theoneeye/daemon`: the engine's ports on a real host, for programs that embed it. The engine itself is `theoneeye`. */
export type { ConfigInput } from './config.ts'
export { loadCustomNodes } from './custom-nodes.ts'
export { type EmbeddedOptions, openEmbeddedRedis } from './embedded-redis.ts'
export { type ConnectOptions, connectRedis } from './redis.ts'
export { type Daemon, type StartDaemonOptions, startDaemon } from './start-daemon.ts'
export {
  pinoLog,
  systemClock,
  systemFiles,
  systemHost,
  systemHttp,
  systemRandom,
} from './system-ports.ts'
