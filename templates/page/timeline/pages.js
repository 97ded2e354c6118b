// Reads a list of the API whole, up to a bound that keeps one long list from keeping the hub and the page busy.

export const PAGE = 100;
export const PAGES_MAX = 5;

/** read({limit, cursor}) gives one page. Answers {items, more}: `more` says that the list goes on after the bound. */
export async function allPages(read) {
  const items = [];
  let cursor;
  for (let pages = 0; pages < PAGES_MAX; pages += 1) {
    const page = await read({ limit: PAGE, cursor });
    items.push(...page.items);
    cursor = page.next_cursor;
    if (!cursor) return { items, more: false };
  }
  return { items, more: true };
}
