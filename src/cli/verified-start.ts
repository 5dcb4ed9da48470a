import { FleetError } from '../base/errors.ts';
import { start } from '../operations/set-target-state.ts';
import { type RequestResult, requestResult } from '../operations/unit-result.ts';
import { verify } from '../operations/verify.ts';
import { verificationReport } from '../output/verification.ts';
import type { Ports } from '../reconcile/reconcile.ts';
import { keepSessions } from '../systemd/driver.ts';
import type { Call } from './command.ts';
import { writeLines } from './streams.ts';
import { submitRequest } from './unit-command.ts';

/** Starts units if every machine they could go to lets them pass; else nothing is written anywhere. */
export async function verifiedStart(ports: Ports, call: Call): Promise<RequestResult> {
  const request = submitRequest(call);
  const driver = keepSessions(ports.driver);
  try {
    const verification = await verify({ ...ports, driver }, { ...request, machine: undefined });
    if (verification.passed) return await start({ ...ports, driver }, request);
    const { out, err } = verificationReport(verification);
    writeLines(call.streams.err, [...out, ...err]);
    const error = new FleetError('unit-file', 'Nothing was started: the units do not pass', {
      hint: 'Nothing was written either; correct them, or start without --verify',
    });
    return requestResult(undefined, [{ unit: request.units.join(' '), error }]);
  } finally {
    await driver.close();
  }
}
