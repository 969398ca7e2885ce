/**
 * Every bound of the engine, with its unit in its name. Passing one is a coded error, never a silent cut.
 * The figures of spec 1.3–1.7 stand here once; settings that may change a bound say so.
 */
export const limits = {
  /** One item, as JSON in UTF-8. */
  payloadBytesMax: 1024 * 1024,
  /** Levels of arrays and objects in one value. */
  jsonDepthMax: 200,
  /** Characters of an error's message, and of its stack, that are kept. */
  errorTextMax: 16_384,
  /** Pushes of one iteration, all queues together. */
  pushesMax: 10_000,
  pushBytesMax: 16 * 1024 * 1024,
  /** Default of `settings.queues.max_length`; 0 means none. */
  queueLengthMax: 10_000,
  /** Default of `settings.dead_letters.max`. */
  deadLettersMax: 10_000,
  deliveriesMax: 3,
  /** A node without `config.timeout_seconds`. */
  nodeTimeoutMs: 300_000,
  /** How long an aborted node may take to let go before its instance is replaced. */
  abortGraceMs: 1_000,
  /** How long a node may take to clean up before the loop goes on without it. */
  cleanupMs: 10_000,
  leaseMs: 10_000,
  leaseRenewMs: 3_000,
  /** One blocking command on wake-up keys, and the longest pause while Redis is away. */
  wakeWaitMs: 5_000,
  /**
   * How often a loop that has nothing to do, or no room for what it did, looks all the same, in proportion to its lease:
   * a wake-up may have gone to a process that stands still, or into a connection that was dead.
   */
  idleLookMs: 20_000,
  drainMs: 30_000,
  /** For how long holders of a loop that is being redefined are asked to let go of it, at a time. */
  yieldMs: 5_000,
  /** How often a reload looks whether they have. */
  reloadPollMs: 200,
  /** How often a daemon gives a sign of life and looks at what it shall be doing. */
  attendMs: 1_000,
  /** Without a sign of life for so long, a daemon is gone from the list. */
  daemonStaleMs: 10_000,
  /** Without an answer from Redis for so long, a daemon is not ready. */
  redisSilenceMs: 5_000,
  /** What a loop claims ahead: so many items, or about so much work. */
  prefetchMax: 128,
  prefetchMs: 100,
  /** Finished iterations that may wait for their commit, and for how long a commit may be under way beside them. */
  backlogMax: 128,
  backlogMs: 100,
  /**
   * A chapter of a trace: after so many iterations, or so long, a recorded loop goes on with new node instances. So a
   * trace may begin there, though some nodes remember from item to item.
   */
  chapterIterations: 1_000,
  chapterMs: 60_000,
  /** A request of an api workflow that brings no time-out of its own. */
  requestMs: 300_000,
  /** Requests that run at once in a process: each holds node instances and its data. */
  requestsMax: 1_000,
  /** How long development mode remembers what a node put out. */
  devCacheMs: 24 * 3_600_000,
  /** Sessions of development mode; the one that was idle longest gives way. */
  devSessionsMax: 100,
  devSessionIdleMs: 30 * 60_000,
  /** How long a crashed loop rests, and a producer that failed, at first; doubling to the second. */
  producerPauseMs: 1_000,
  producerPauseMsMax: 30_000,
  /** Crashes of a replica without an iteration in between, after which it is not started again on its own. */
  crashesMax: 10,
  /** How often workers are looked at from outside. */
  workerCheckMs: 3_000,
  /** How long a worker may take from its start to its first word. */
  workerStartMs: 30_000,
  /** How long a worker may take to end after it was told to, and after it was made to. */
  workerGraceMs: 5_000,
  /** How long a worker may give no sign of life at all. */
  workerSilenceMsMax: 15_000,
  /** How long a node may block its worker's event loop beyond its time limit. */
  hardTimeoutGraceMs: 5_000,
  /** How long a loop that should may neither poll nor commit. */
  idleMsMax: 60_000,
  /** What a process needs beside the heap that `memory_mb` bounds. */
  processMemoryMb: 128,
  /** Events of a worker travel together, so many or for so long. */
  batchEventsMax: 256,
  batchMs: 20,
  /** The longest sleep a host timer holds (2^31-1 ms); longer ones are split. */
  timerMsMax: 2_147_483_647,
  graphNodesMax: 10_000,
  /** Nodes of all loops together: a node that several producers feed counts once for each. */
  graphStepsMax: 100_000,
  /** for-each within for-each. */
  bodyDepthMax: 50,
  /** Nesting of JSON in a workflow file. */
  workflowDepthMax: 200,
  /** Characters of an id or a queue name. */
  nameLengthMax: 200,
  templateBytesMax: 256 * 1024,
  templateStepsMax: 1_000_000,
  templateRangeMax: 100_000,
  templateOutputBytesMax: 4 * 1024 * 1024,
  templateDepthMax: 100,
  /** All strings a rendering makes on its way, in UTF-16 units. */
  templateTextUnitsMax: 32 * 1024 * 1024,
  /** Ticks of a timer that fell into a stop and are caught up with `missed: all`. */
  missedTicksMax: 1_000,
  /** Tokens of pushes from outside that are remembered, so that a repeated one changes nothing. */
  pushTokensMax: 10_000,
  /** Batches of webhooks that are remembered likewise. */
  batchTokensMax: 100,
  /** Requests that one batch takes in. */
  batchRequestsMax: 256,
  /** How far the timestamp of a signed webhook may be from now. */
  signatureAgeMs: 300_000,
  /** What rate limits count within. */
  rateWindowMs: 60_000,
  /** In a minute, of each who gives a key or comes from elsewhere, where the configuration says nothing. */
  requestsPerMinute: 6_000,
  webhooksPerMinute: 60_000,
  /** How long a webhook waits for Redis to be back before it is refused. */
  webhookPatienceMs: 5_000,
  /** Completed nodes that a loop remembers for people who look. */
  completedNodesMax: 100,
  forEachItemsMax: 10_000,
  fileLineBytesMax: 1024 * 1024,
  /** One read of a file reader. */
  fileChunkBytes: 64 * 1024,
  /** A file read as one JSON array. */
  fileJsonBytesMax: 64 * 1024 * 1024,
  /** Compiled conditions that a form keeps, when they are rendered anew for each item. */
  conditionCacheEntriesMax: 256,
  conditionCacheTextMax: 1_024,
} as const

/** One of the figures that are meant for the default lease, in proportion to another lease; in milliseconds. */
export function inLeases(ms: number, leaseSeconds: number): number {
  return leaseSeconds * 1000 * (ms / limits.leaseMs)
}
