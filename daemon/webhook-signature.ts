/**
 * Signed webhooks (spec 4.3): who posts proves that it knows the secret of the workflow's webhook-producer. The signature
 * is the HMAC-SHA256 of the raw body, in hex, with or without `sha256=` before it. With a timestamp (`X-Timestamp`, epoch
 * seconds), which makes an old request worthless, the text that is signed is `TIMESTAMP.BODY`.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { limits } from '../engine/limits.ts'

export type Signed = {
  body: Buffer
  /** `X-Signature-256`. */
  signature: string | undefined
  /** `X-Timestamp`. */
  timestamp: string | undefined
  /** Epoch milliseconds. */
  now: number
}

/** Why a request is refused; undefined when it was signed with this secret. Takes as long for any signature. */
export function signatureFault(secret: string, { body, signature, timestamp, now }: Signed): string | undefined {
  if (signature === undefined) return 'it is not signed: the header X-Signature-256 is missing'
  if (timestamp !== undefined && !isTimely(timestamp, now)) {
    return `its X-Timestamp is not within ${limits.signatureAgeMs / 1000} s of now`
  }
  // a body that begins like a signed timestamp would be one request with two meanings
  if (timestamp === undefined && /^\d+\./.test(body.subarray(0, 32).toString('latin1'))) {
    return 'its body begins with a number and a point, which takes an X-Timestamp'
  }
  const signed = timestamp === undefined ? body : Buffer.concat([Buffer.from(`${timestamp}.`), body])
  const expected = createHmac('sha256', secret).update(signed).digest()
  const given = Buffer.from(/^(?:sha256=)?([0-9a-f]{64})$/i.exec(signature)?.[1] ?? '', 'hex')
  return given.length === expected.length && timingSafeEqual(given, expected) ? undefined : 'its signature is wrong'
}

function isTimely(timestamp: string, now: number): boolean {
  return /^\d{1,12}$/.test(timestamp) && Math.abs(now - Number(timestamp) * 1000) <= limits.signatureAgeMs
}
