import { randomBytes } from 'node:crypto';
import { StringDecoder } from 'node:string_decoder';
import { withTimeout } from '../base/async.ts';
import { FleetError, isFleetError } from '../base/errors.ts';
import { badAnswer, keepTo, LIMITS } from '../machine/limits.ts';
import { type Access, type BecomePassword, becomes, passwordRefused, shellEnded } from './become.ts';
import { encodeForPrintf, quote } from './shell.ts';
import type { RemoteProcess, Transport } from './transport.ts';

/** The messages of tools are the same on every machine. */
const C_LOCALE = 'env LC_ALL=C';

/**
 * The shell that runs scripts, with the arguments that follow. A character is a byte in it. Its environment is only the
 * PATH: variables such as POSIXLY_CORRECT, SYSTEMD_OFFLINE, SYSTEMD_UNIT_PATH, CDPATH and QUOTING_STYLE would change the
 * behaviour of its tools.
 */
const SHELL = `/bin/sh -c 'exec env -i LC_ALL=C PATH="$PATH" /bin/sh "$@"' sh`;

/** The timeout for an answer of sudo, in ms; it takes two seconds to refuse a password. */
const ANSWER_DEADLINE_MS = 30_000;

/**
 * The longest command, in bytes: dropbear accepts 9000 (MAX_CMD_LEN). The message size that every SSH server has to
 * accept is larger (RFC 4253, 6.1), and so is the longest argument on Linux.
 */
const LONGEST_COMMAND = 8900;

/**
 * Starts a POSIX shell with root's rights, in the C locale, which runs `first` and then reads scripts from standard
 * input; those must begin with an empty line. The login shell is replaced at once. `first` is part of the command, which
 * other users of the machine can see. That saves a round trip, because sshd opens standard input only after it has
 * started the command. A script goes to standard input instead if it is too long, or if sudo may ask for a password.
 * Rejects with a FleetError: those of {@link Transport.exec}, and a `become-` code when sudo refused the password.
 */
export async function openRootShell(
  transport: Transport,
  access: Access,
  first: string,
): Promise<RemoteProcess> {
  const { ssh, become, password } = access;
  if (becomes(access) && become === 'sudo' && password !== undefined)
    return begin(await openWithPassword(transport, access, password), first);
  const shell = becomes(access) ? `${C_LOCALE} ${become} -n -- ${SHELL}` : SHELL;
  const command = `exec ${shell} ${runAndRead(first)}`;
  if (first !== '' && command.length <= LONGEST_COMMAND) return transport.exec(ssh, command);
  return begin(await transport.exec(ssh, `exec ${shell} -s`), first);
}

function begin(process: RemoteProcess, script: string): RemoteProcess {
  process.write(script);
  return process;
}

/** The arguments of a shell that runs a script and then, unless standard input is at its end, reads more there. */
function runAndRead(script: string): string {
  const word = encodeForPrintf(`${script}! read -r line || exec /bin/sh -s\n`);
  return `-c 'eval "$(printf %b "$1")"' sh ${word}`;
}

/**
 * The prompt of sudo is a text made for this session, the same in every locale, and the shell prints another one when it
 * is ready. Only the password is written before that: sudo would read the first line of a script as a password.
 */
async function openWithPassword(
  transport: Transport,
  access: Access,
  password: BecomePassword,
): Promise<RemoteProcess> {
  const nonce = randomBytes(16).toString('hex');
  const begin = quote(`echo ready-${nonce}; exec /bin/sh -s`);
  const sudo = `sudo -S -p ask-${nonce} -- ${SHELL} -c ${begin}`;
  const process = await transport.exec(access.ssh, `exec ${C_LOCALE} ${sudo}`);
  const dialogue = new Dialogue(access, process, nonce);
  try {
    if ((await dialogue.next()) === 'asks') await answer(access, password, process, dialogue);
    return process;
  } catch (error) {
    process.close();
    throw error;
  }
}

async function answer(
  access: Access,
  password: BecomePassword,
  process: RemoteProcess,
  dialogue: Dialogue,
): Promise<void> {
  let failure: FleetError | undefined;
  const verdict = await password.offer(access.ssh.name, async (text) => {
    process.write(`${text}\n`);
    try {
      // A second prompt means that the password was wrong; another attempt could lock the account.
      return (await dialogue.next()) === 'ready';
    } catch (error) {
      if (!isFleetError(error) || error.code === 'ssh-lost') throw error;
      failure = error;
      // sudo checks its rules only after the password was accepted.
      return error.code === 'become-denied';
    }
  });
  if (failure !== undefined) throw failure;
  if (verdict.kind === 'refused') throw passwordRefused(access, verdict.by);
}

/** The events of sudo, in order: it asks for the password, or the shell is ready. */
class Dialogue {
  readonly #access: Access;
  readonly #asks: string;
  readonly #ready: string;
  readonly #exit: Promise<never>;
  #said = '';
  #stdout = '';
  #isReady: boolean = false;
  #heard: () => void = () => undefined;

  constructor(access: Access, process: RemoteProcess, nonce: string) {
    this.#access = access;
    this.#asks = `ask-${nonce}`;
    this.#ready = `ready-${nonce}\n`;
    const decoders = [new StringDecoder('utf8'), new StringDecoder('utf8')] as const;
    process.onStderr((chunk) => {
      if (this.#listens) this.#said += decoders[0].write(chunk);
      this.#heard();
    });
    process.onStdout((chunk) => {
      if (this.#listens) this.#stdout += decoders[1].write(chunk);
      this.#heard();
    });
    this.#exit = process.exit.then((exit) => {
      const said = [this.#said.replaceAll(this.#asks, ''), this.#stdout].map((text) => text.trim());
      const how = 'status' in exit ? exit.status : exit.signal;
      throw shellEnded(access, said.find((text) => text !== '') ?? '', how);
    });
    this.#exit.catch(() => undefined);
  }

  get #listens(): boolean {
    return !this.#isReady && this.#said.length + this.#stdout.length <= LIMITS.unasked.most;
  }

  /** Rejects with the reason when sudo has ended, and when there is no event in time. */
  next(): Promise<'asks' | 'ready'> {
    return withTimeout(ANSWER_DEADLINE_MS, Promise.race([this.#event(), this.#exit]), () => {
      throw this.#tooSlow();
    });
  }

  #event(): Promise<'asks' | 'ready'> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (this.#isReady) return;
        try {
          keepTo('unasked', this.#said.length + this.#stdout.length);
        } catch (error) {
          reject(badAnswer(this.#access.ssh.name, error));
          return;
        }
        const at = this.#said.indexOf(this.#asks);
        this.#isReady = this.#stdout.includes(this.#ready);
        if (this.#isReady) resolve('ready');
        else if (at >= 0) {
          this.#said = this.#said.slice(at + this.#asks.length);
          resolve('asks');
        }
      };
      this.#heard = look;
      look();
    });
  }

  #tooSlow(): FleetError {
    const { name } = this.#access.ssh;
    return new FleetError('ssh-timeout', `Machine "${name}" is connected but sudo gave no answer there`, {
      hint: 'Log in and run "sudo -v" to see why it does not finish',
    });
  }
}
