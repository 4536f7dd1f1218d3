/* A proxy in front may have another name and scheme than the request that the server has seen: the address bar is right. */
const origin = location.origin + location.pathname.replace(/\/[^/]*$/, "");
for (const place of document.querySelectorAll("[data-origin]"))
    place.textContent = origin;
