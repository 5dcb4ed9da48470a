/**
 * Executes commands of fleetctl one after the other, each as `bin/fleetctl` does in a new process: a third of the CPU time
 * of a command is the start of Node and the first, slow use of every function.
 *
 * A command has its own modules, working folder, environment, arguments and exit status. It has ended when nothing is left that would
 * keep its process alive (`beforeExit`), so a command that does not end is found here too. Requests are lines of JSON on file
 * descriptor 3; standard output and error end with the mark of the request, and standard output with the status as well.
 */
const { readSync, writeSync } = require('node:fs');
const { globalAgent } = require('node:http');
const { basename, resolve } = require('node:path');
const vm = require('node:vm');

/** The events for which a command has listeners, which would otherwise be called for later commands too. */
const EVENTS = ['uncaughtException', 'SIGHUP', 'SIGINT', 'SIGTERM', 'exit'];

const REQUESTS = 3;
const LINE_FEED = 10;

/** The compiled files of the program. Each command still evaluates them, but reading their compiled form was a quarter of its CPU time. */
const scripts = new Map();
const { Script } = vm;
vm.Script = new Proxy(Script, {
  construct(_, [source, options]) {
    const script = scripts.get(options.filename) ?? new Script(source, options);
    scripts.set(options.filename, script);
    return script;
  },
});

let mark = '';

process.on('beforeExit', () => {
  if (mark !== '') end();
  const request = next();
  if (request !== undefined) execute(JSON.parse(request));
});

function execute(request) {
  mark = request.mark;
  process.chdir(request.folder);
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, request.env);
  process.argv = [process.execPath, request.program, ...request.words];
  process.exitCode = undefined;
  const dist = resolve(request.program, '../../dist');
  const { load } = require(`${dist}/load.cjs`);
  load(`${dist}/${basename(request.program)}.cjs`).runFleetctl();
}

function end() {
  const status = process.exitCode ?? 0;
  process.exitCode = undefined;
  for (const listener of process.listeners('exit')) listener(status);
  for (const event of EVENTS) process.removeAllListeners(event);
  globalAgent.destroy();
  write(2, mark);
  write(1, `\0${status}${mark}`);
  mark = '';
}

/** The next request; undefined when the test process has ended. */
function next() {
  const parts = [];
  for (;;) {
    const buffer = Buffer.alloc(65_536);
    const count = readSync(REQUESTS, buffer);
    if (count === 0) return undefined;
    parts.push(buffer.subarray(0, count));
    // Requests come one at a time.
    if (buffer[count - 1] === LINE_FEED) return Buffer.concat(parts).toString();
  }
}

function write(descriptor, text) {
  for (let bytes = Buffer.from(text); bytes.length > 0; ) {
    try {
      bytes = bytes.subarray(writeSync(descriptor, bytes));
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
  }
}
