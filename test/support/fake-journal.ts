import { FleetError } from '../../src/base/errors.ts';
import type { JournalRequest, JournalStream } from '../../src/systemd/journal.ts';

/** The journal of a machine in memory, and everybody who follows it. */
export class FakeJournal {
  /** What was asked of it. */
  readonly requests: JournalRequest[] = [];
  /** Streams that are open. */
  readonly open = new Set<JournalStream>();
  readonly #lines: FakeLine[] = [];
  readonly #followers = new Map<JournalStream, Follower>();

  /** Notes that a unit said something at that time, in epoch s. Followers read it at once. */
  say(unit: string, time: number, message: string): void {
    const line = { unit, time, message, cursor: `c${this.#lines.length + 1}` };
    this.#lines.push(line);
    for (const { request, listener } of this.#followers.values())
      if (matches(line, request)) listener(print(line, request));
  }

  /** Ends every stream as a connection that is lost does. */
  drop(): void {
    for (const [stream, { fail }] of this.#followers) {
      this.#followers.delete(stream);
      fail(new FleetError('ssh-lost', 'Lost the connection'));
    }
  }

  /** How many follow it now. */
  get following(): number {
    return this.#followers.size;
  }

  read(request: JournalRequest): JournalStream {
    this.requests.push(request);
    const found = this.#lines.filter((line) => matches(line, request));
    const text = found
      .slice(-(request.lines ?? Number.POSITIVE_INFINITY) || found.length)
      .map((line) => print(line, request))
      .join('');
    let end: () => void = () => undefined;
    let fail: (error: Error) => void = () => undefined;
    const ended = new Promise<void>((resolve, reject) => {
      end = resolve;
      fail = reject;
    });
    ended.catch(() => undefined);
    const stream: JournalStream = {
      clock: { now: 1000, offsetMinutes: 0, zone: 'UTC' },
      ended,
      onText: (listener) => {
        if (text !== '') listener(text);
        if (request.follow) this.#followers.set(stream, { request, listener, fail });
        else end();
      },
      close: async () => {
        this.open.delete(stream);
        this.#followers.delete(stream);
        end();
      },
    };
    this.open.add(stream);
    return stream;
  }
}

type FakeLine = {
  readonly unit: string;
  readonly time: number;
  readonly message: string;
  readonly cursor: string;
};

type Follower = {
  readonly request: JournalRequest;
  readonly listener: (text: string) => void;
  readonly fail: (error: Error) => void;
};

function matches({ unit, cursor, time }: FakeLine, { units, after, since }: JournalRequest): boolean {
  const isLater = after === undefined || Number(cursor.slice(1)) > Number(after.slice(1));
  return units.includes(unit) && isLater && time >= Number(since?.slice(1) ?? 0);
}

function print({ unit, time, message, cursor }: FakeLine, { output }: JournalRequest): string {
  if (output !== 'json') return `${message}\n`;
  const fields = {
    __CURSOR: cursor,
    __REALTIME_TIMESTAMP: `${time * 1_000_000}`,
    _SYSTEMD_UNIT: unit,
    _HOSTNAME: 'host',
    SYSLOG_IDENTIFIER: 'sh',
    _PID: '7',
    MESSAGE: message,
  };
  return `${JSON.stringify(fields)}\n`;
}
