// From page to page, by the cursors that lists answer with.

const LARGEST = 200;

/** Every page of a list, each fetched when it is asked for. */
export async function* pages<P extends { next_cursor: string | null }>(
  listPage: (place: { limit: number; cursor?: string }) => Promise<P>,
): AsyncGenerator<P> {
  let page = await listPage({ limit: LARGEST });
  yield page;
  while (page.next_cursor !== null) {
    page = await listPage({ limit: LARGEST, cursor: page.next_cursor });
    yield page;
  }
}
