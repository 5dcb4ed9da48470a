/** What became of a password: `refused` names the machine that did not take it. */
export type Verdict = { readonly kind: 'accepted' } | { readonly kind: 'refused'; readonly by: string };

/**
 * A password that many machines may ask for. So that a wrong one locks no accounts, it goes to one machine first,
 * and to the others when that has taken it. After the first refusal only machines that took it before get it.
 */
export class BecomePassword {
  readonly #read: () => Promise<string>;
  readonly #accepted = new Set<string>();
  #text: Promise<string> | undefined;
  #trial: Promise<unknown> | undefined;
  #refusedBy: string | undefined;

  /** `read` is called once, when a machine first asks. */
  constructor(read: () => Promise<string>) {
    this.#read = read;
  }

  /**
   * Lets `attempt` send the password to a machine, or says that it must not be sent. An attempt resolves with
   * whether it was taken, and rejects when that will never be known.
   */
  async offer(machine: string, attempt: (password: string) => Promise<boolean>): Promise<Verdict> {
    while (this.#isUntried && this.#trial !== undefined) await this.#trial;
    if (this.#refusedBy !== undefined && !this.#accepted.has(machine))
      return { kind: 'refused', by: this.#refusedBy };
    const outcome = this.#try(machine, attempt);
    if (this.#isUntried) {
      const over = (): void => {
        this.#trial = undefined;
      };
      this.#trial = outcome.then(over, over);
    }
    return outcome;
  }

  get #isUntried(): boolean {
    return this.#accepted.size === 0 && this.#refusedBy === undefined;
  }

  async #try(machine: string, attempt: (password: string) => Promise<boolean>): Promise<Verdict> {
    this.#text ??= this.#read();
    if (await attempt(await this.#text)) {
      this.#accepted.add(machine);
      return { kind: 'accepted' };
    }
    this.#accepted.delete(machine);
    this.#refusedBy ??= machine;
    return { kind: 'refused', by: machine };
  }
}
