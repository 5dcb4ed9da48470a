/** A unit file of a service. */
export function service(lines: string, placement = ''): string {
  return `[Service]\n${lines}\n${placement === '' ? '' : `\n[X-Fleet]\n${placement}\n`}`;
}

/** A service that runs until it is stopped. */
export const SLEEPER = service('ExecStart=/bin/sleep 100000');

/** The unit whose fleet hash is known from fleet itself. */
export const HELLO = `[Unit]
Description=Hello World

[Service]
ExecStart=/bin/sh -c "while true; do echo Hello; sleep 1; done"
`;
export const HELLO_HASH = '8c2d57110ebadc563d8409054afa5149b06db453';
