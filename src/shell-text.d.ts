/** A shell file, imported as its text. */
declare module '*.sh' {
  const text: string;
  export default text;
}

/** A unit that is shipped, imported as its text. */
declare module '*.service' {
  const text: string;
  export default text;
}
declare module '*.socket' {
  const text: string;
  export default text;
}

/** A topic of the manual, imported as its text. */
declare module '*.md' {
  const text: string;
  export default text;
}
