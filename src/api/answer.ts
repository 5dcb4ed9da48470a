/** What a request is answered with; without a body nothing but the status is sent. */
export type Answer = {
  readonly status: number;
  readonly body?: { readonly type: string; readonly text: string | Buffer };
};

/** A request that cannot be done, with the HTTP status that says so; sent in fleet's shape. */
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options);
    this.status = status;
  }
}

export function json(value: object, status = 200): Answer {
  return { status, body: { type: 'application/json', text: JSON.stringify(value) } };
}

/** The shape of every error of fleet's API. */
export function errorAnswer({ status, message }: ApiError): Answer {
  return json({ error: { code: status, message } }, status);
}
