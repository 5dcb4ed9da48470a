import { FleetError } from '../base/errors.ts';

/** The whole number given to an option; undefined without it. Throws FleetError `usage`. */
export function numberOf(flag: string, option: string | boolean | undefined): number | undefined {
  if (typeof option !== 'string') return undefined;
  if (/^\d{1,9}$/.test(option)) return Number(option);
  throw new FleetError('usage', `Cannot read ${flag}: "${option}" is not a whole number`, {
    hint: `Give one: ${flag}=10`,
  });
}

/** A whole number from 1; `fallback` without the option. Throws FleetError `usage`. */
export function countOption(flag: string, option: string | boolean | undefined, fallback: number): number {
  if (option === undefined) return fallback;
  if (typeof option === 'string' && /^[1-9]\d{0,5}$/.test(option)) return Number(option);
  throw new FleetError('usage', `Cannot read ${flag}: "${option}" is not a whole number from 1`, {
    hint: `Give one: ${flag} 2`,
  });
}
