/** Waits for what has nothing to do with a simulation to end, before one begins that would take it for an escape. */

const turnsMax = 1_000

/** Code that was just loaded may still be read from files. */
export async function quiet(): Promise<void> {
  const turn = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 1))
  const isReading = (): boolean => process.getActiveResourcesInfo().some(name => /^FSReq|CloseReq/.test(name))
  for (let turns = 0; turns < turnsMax && isReading(); turns++) await turn()
}
