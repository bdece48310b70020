// Writes CSV as RFC 4180 has it, for spreadsheets that take it for a program if it lets them.

/** Says to spreadsheets that this is UTF-8. */
export const BYTE_ORDER_MARK = "\uFEFF";

/** What a text begins with that a spreadsheet calculates. The wide forms count as the narrow ones in some of them. */
const CALCULATED = /^[=+\-@\t\r＝＋－＠]/;

/** One cell. A number stays one; a text that would be calculated gets an apostrophe before it. */
export function csvCell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "string") return String(value);
  const text = CALCULATED.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** One line with its end. */
export const csvLine = (cells) => `${cells.map(csvCell).join(",")}\r\n`;
