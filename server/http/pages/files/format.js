// Numbers as people read them, with units. A value that is unknown (null) is a dash.

export const UNKNOWN = "–";

/** Returns a number with about three significant digits. */
export function number(value) {
  if (value === null || value === undefined) return UNKNOWN;
  const size = Math.abs(value);
  const digits = size >= 100 || size === 0 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2;
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Returns a time as [number, unit]. */
export function timeParts(seconds) {
  if (seconds === null || seconds === undefined) return [UNKNOWN, ""];
  if (seconds >= 1) return [number(seconds), "s"];
  return [number(seconds * 1000), "ms"];
}

/** Returns a time such as `12.3 ms`. */
export function time(seconds) {
  return timeParts(seconds).join(" ").trim();
}

/** Returns a share such as `42.0 %`. */
export function share(value) {
  if (value === null || value === undefined) return UNKNOWN;
  const percent = value * 100;
  const digits = percent !== 0 && Math.abs(percent) < 10 && percent !== 100 ? 2 : percent === 0 || percent === 100 ? 0 : 1;
  return `${percent.toFixed(digits)} %`;
}

/** Returns a size such as `1.5 GiB`. */
export function bytes(value) {
  if (value === null || value === undefined) return UNKNOWN;
  let size = value;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (size < 1024) return `${number(unit === "B" ? size : Math.round(size * 10) / 10)} ${unit}`;
    size /= 1024;
  }
  return `${number(size)} TiB`;
}

/** Returns a duration such as `3 h 12 min`. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return UNKNOWN;
  const whole = Math.max(0, Math.floor(seconds));
  const two = (large, largeUnit, small, smallUnit) => `${large} ${largeUnit}${small ? ` ${small} ${smallUnit}` : ""}`;
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return two(Math.floor(whole / 60), "min", whole % 60, "s");
  if (whole < 86400) return two(Math.floor(whole / 3600), "h", Math.floor((whole % 3600) / 60), "min");
  return two(Math.floor(whole / 86400), "d", Math.floor((whole % 86400) / 3600), "h");
}

/** Returns the time of day of a Unix time. */
export function clock(unixSeconds) {
  return new Date(unixSeconds * 1000).toLocaleTimeString("en-GB");
}

/** Returns an element. Children that are not elements become text, never HTML. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return made;
}
