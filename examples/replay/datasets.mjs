// The three data sets of npm `vega-datasets`, each as a list of events in the order of its timestamps.

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));

// Where `npm install` may have put the package, nearest first.
const ROOTS = [HERE, process.cwd(), join(HERE, '../../tests/e2e')];

/** The folder of the data files, or an error that says how to get them. */
export function findData() {
    for (const root of ROOTS) {
        try {
            const main = createRequire(join(root, 'x.js')).resolve('vega-datasets');
            const data = join(dirname(main), '../data');
            if (existsSync(data)) return data;
        } catch {
            // Not installed below this root: look below the next.
        }
    }
    throw new Error('vega-datasets not found: `npm install vega-datasets` here, or say --data DIR');
}

// Neither file quotes its fields, so that a line is its fields.
function rows(text) {
    const [head, ...lines] = text.split('\n').filter((line) => line !== '');
    const names = head.split(',');
    return lines.map((line) => {
        const fields = line.split(',');
        return Object.fromEntries(names.map((name, i) => [name, fields[i]]));
    });
}

function stocks(dir) {
    return rows(readFileSync(join(dir, 'stocks.csv'), 'utf8')).map((row) => ({
        at: Date.parse(`${row.date} UTC`),
        channel: `stocks/${row.symbol}`,
        type: 'quote',
        data: { symbol: row.symbol, date: row.date, price: Number(row.price) },
    }));
}

function weather(dir) {
    return rows(readFileSync(join(dir, 'seattle-weather.csv'), 'utf8')).map((row) => ({
        at: Date.parse(`${row.date}T00:00:00Z`),
        channel: 'weather/seattle',
        type: row.weather,
        data: {
            date: row.date,
            precipitation: Number(row.precipitation),
            temp_max: Number(row.temp_max),
            temp_min: Number(row.temp_min),
            wind: Number(row.wind),
            weather: row.weather,
        },
    }));
}

function earthquakes(dir) {
    const { features } = JSON.parse(readFileSync(join(dir, 'earthquakes.json'), 'utf8'));
    return features.map((feature) => ({
        at: feature.properties.time,
        channel: `earthquakes/${feature.properties.net}`,
        type: feature.properties.type.replaceAll(' ', '-'),
        data: feature,
    }));
}

export const DATASETS = { stocks, weather, earthquakes };

/**
 * The events of a data set, oldest first; those of one instant keep the order of the file.
 * `at` is in milliseconds since 1970.
 */
export function load(name, dir = findData()) {
    const read = DATASETS[name];
    if (!read) throw new Error(`no data set "${name}": one of ${Object.keys(DATASETS).join(', ')}`);
    return read(dir).sort((a, b) => a.at - b.at);
}
