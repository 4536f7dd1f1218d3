/* The clipboard, which browsers give to pages of https and localhost alone; elsewhere the older way may do. */

/** Copies the text of an element. False if the browser did not: the text is marked then, for Ctrl+C. */
export async function copyText(place) {
    try {
        await navigator.clipboard.writeText(place.textContent);
        return true;
    } catch {
        getSelection().selectAllChildren(place);
        return document.execCommand("copy");
    }
}
