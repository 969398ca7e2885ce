/** `theoneeye/daemon`: the engine's ports on a real host, for programs that embed it. The engine itself is `theoneeye`. */
export { loadCustomNodes } from './custom-nodes.ts'
export { type EmbeddedOptions, openEmbeddedRedis } from './embedded-redis.ts'
export { type ConnectOptions, connectRedis } from './redis.ts'
export {
  pinoLog,
  systemClock,
  systemFiles,
  systemHost,
  systemHttp,
  systemRandom,
} from './system-ports.ts'
