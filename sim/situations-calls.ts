/** Situations that come of what people ask over HTTP: posts, requests, single nodes in development. */
import type { CallNews } from './callers.ts'
import type { CallAnswer } from './front.ts'
import type { Situation, Watch } from './situations.ts'

type Answered = Extract<CallNews, { what: 'is answered' }>

/** A call of this kind was answered, and so. */
function answered<K extends CallAnswer['kind']>(
  kind: K,
  isIt: (answer: Extract<CallAnswer, { kind: K }>, news: Answered) => boolean = () => true,
): () => Watch {
  return () => ({
    calls: news => {
      if (news.what !== 'is answered' || news.answer.kind !== kind) return false
      return isIt(news.answer as Extract<CallAnswer, { kind: K }>, news)
    },
  })
}

const asked = (isIt: (answer: Extract<CallAnswer, { kind: 'ask' }>['answer']) => boolean) =>
  answered('ask', ({ answer }) => isIt(answer))
const developed = (isIt: (answer: Extract<CallAnswer, { kind: 'develop' }>['answer']) => boolean) =>
  answered('develop', ({ answer }) => isIt(answer))
const refused = (kind: 'post' | 'ask', code: RegExp) =>
  answered('refused', (answer, { call }) => call.kind === kind && code.test(answer.code))

/** A batch of webhooks came once more, and got its first answer. */
function sentAgain(): Watch {
  return { ops: { intake: ({ outcome }, [letters = '']) => !outcome.changed && letters.includes('p') } }
}

function whilePaused(): Watch {
  const paused = new Set<string>()
  return {
    ops: {
      desire: ({ args: [loop = '', wish] }) => {
        if (wish === 'pause') paused.add(loop)
        else paused.delete(loop)
        return false
      },
      intake: (_, [letters = '']) => paused.size > 0 && letters.includes('p'),
    },
  }
}

function sideBySide(): Watch {
  const open = new Set<number>()
  return {
    calls: news => {
      if (news.what === 'develops' || news.call.kind !== 'ask') return false
      if (news.what === 'begins') open.add(news.call.n)
      else open.delete(news.call.n)
      return open.size > 2
    },
  }
}

/** A daemon died with a request that had committed, and nobody will know. */
function committedAndCutOff(): Watch {
  const committed = new Map<string, number>()
  let requests = 0
  return {
    ops: {
      'commit-request': ({ args: [token = '', , how], outcome }) => {
        if (outcome.changed && how === 'ok') committed.set(token, ++requests)
        return false
      },
    },
    calls: news => {
      if (news.what === 'is answered' && news.answer.kind === 'ask') {
        committed.delete(news.answer.answer.run.slice('request-'.length))
      }
      return news.what === 'is cut off' && news.call.kind === 'ask' && committed.size > 0
    },
  }
}

export const ofCalls: readonly Situation[] = [
  { name: 'webhooks whose answer was lost were sent again', watch: sentAgain },
  { name: 'a webhook was queued while its workflow was paused', watch: whilePaused },
  { name: 'a webhook found its queue full', watch: answered('post', ({ status }) => status === 'full') },
  {
    name: 'a webhook came twice under one key',
    watch: () => ({ ops: { intake: (_, [letters = '']) => letters.includes('d') } }),
  },
  { name: 'a webhook was refused because Redis was away', watch: refused('post', /^REDIS_/) },
  { name: 'requests ran side by side', watch: sideBySide },
  { name: 'a request failed, and was answered so', watch: asked(answer => !answer.success && answer.node_id !== null) },
  { name: 'a request ran out of time', watch: asked(answer => !answer.success && answer.code === 'API_TIMEOUT') },
  { name: 'a request was aborted', watch: asked(answer => !answer.success && answer.code === 'ITERATION_ABORTED') },
  { name: 'a request found a queue full', watch: asked(answer => !answer.success && answer.code === 'QUEUE_FULL') },
  { name: 'a request came while its daemon stopped', watch: refused('ask', /^DRAINING$/) },
  { name: 'a request was one too many', watch: refused('ask', /^OVERLOADED$/) },
  { name: 'a daemon died with a request that had committed', watch: committedAndCutOff },
  { name: 'a node said in development what it would have pushed', watch: developed(answer => 'would_push' in answer) },
  {
    name: 'in development a for-each stopped at an element',
    watch: developed(answer => answer.success && /^element \d/.test(answer.message ?? '')),
  },
  {
    name: 'a producer in development had no more items',
    watch: developed(answer => answer.success && answer.output === null),
  },
  {
    name: 'a node in development had nothing to run on',
    watch: developed(answer => !answer.success && answer.error_type === 'NO_INPUT'),
  },
]
