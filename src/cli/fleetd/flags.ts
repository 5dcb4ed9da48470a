/** The words of fleetd's command line. */
export type Flags = {
  readonly config?: string;
  readonly check?: true;
  readonly log: 'text' | 'json';
};
