/* Places to begin with. A reading carries the place of its station, so that any other can join. */

export const PLACES = [
    ["Anchorage", 61.2, -149.9], ["Auckland", -36.8, 174.8], ["Buenos Aires", -34.6, -58.4], ["Cairo", 30.0, 31.2], ["Cape Town", -33.9, 18.4],
    ["Delhi", 28.6, 77.2], ["Honolulu", 21.3, -157.9], ["Jakarta", -6.2, 106.8], ["Lagos", 6.5, 3.4], ["Lima", -12.0, -77.0],
    ["London", 51.5, -0.1], ["Mexico City", 19.4, -99.1], ["Nairobi", -1.3, 36.8], ["New York", 40.7, -74.0], ["Novosibirsk", 55.0, 82.9],
    ["Perth", -31.9, 115.9], ["Reykjavik", 64.1, -21.9], ["Sydney", -33.9, 151.2], ["Tokyo", 35.7, 139.7], ["Vancouver", 49.3, -123.1],
].map(([station, lat, lon]) => ({ station, lat, lon }));
