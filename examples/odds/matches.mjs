/* The round of 16 of the men's football World Cup 2022, each match to the end of its 90 minutes: the teams, the goals that each had
 * scored and conceded in its three matches before ("before"), and the goals of the match.
 * Source: openfootball/worldcup.json, dedicated to the public domain (CC0 1.0). */

export const MATCHES = [
    { teams: ["Netherlands", "USA"], before: [[5, 1], [2, 1]], goals: [
        { minute: 10, side: 0, by: "Memphis Depay" },
        { minute: 45, added: 1, side: 0, by: "Daley Blind" },
        { minute: 76, side: 1, by: "Haji Wright" },
        { minute: 81, side: 0, by: "Denzel Dumfries" },
    ] },
    { teams: ["Argentina", "Australia"], before: [[5, 2], [3, 4]], goals: [
        { minute: 35, side: 0, by: "Lionel Messi" },
        { minute: 57, side: 0, by: "Julián Álvarez" },
        { minute: 77, side: 1, by: "Enzo Fernández", own: true },
    ] },
    { teams: ["France", "Poland"], before: [[6, 3], [2, 2]], goals: [
        { minute: 44, side: 0, by: "Olivier Giroud" },
        { minute: 74, side: 0, by: "Mbappé" },
        { minute: 90, added: 1, side: 0, by: "Mbappé" },
        { minute: 90, added: 9, side: 1, by: "Robert Lewandowski", penalty: true },
    ] },
    { teams: ["England", "Senegal"], before: [[9, 2], [5, 4]], goals: [
        { minute: 38, side: 0, by: "Jordan Henderson" },
        { minute: 45, added: 3, side: 0, by: "Harry Kane" },
        { minute: 57, side: 0, by: "Bukayo Saka" },
    ] },
    { teams: ["Japan", "Croatia"], before: [[4, 3], [4, 1]], goals: [
        { minute: 43, side: 0, by: "Daizen Maeda" },
        { minute: 55, side: 1, by: "Ivan Perišić" },
    ] },
    { teams: ["Brazil", "South Korea"], before: [[3, 1], [4, 4]], goals: [
        { minute: 7, side: 0, by: "Vinícius Jr." },
        { minute: 13, side: 0, by: "Neymar", penalty: true },
        { minute: 29, side: 0, by: "Richarlison" },
        { minute: 36, side: 0, by: "Lucas Paquetá" },
        { minute: 76, side: 1, by: "Paik Seung-ho" },
    ] },
    { teams: ["Morocco", "Spain"], before: [[4, 1], [9, 3]], goals: [] },
    { teams: ["Portugal", "Switzerland"], before: [[6, 4], [4, 3]], goals: [
        { minute: 17, side: 0, by: "Gonçalo Ramos" },
        { minute: 33, side: 0, by: "Pepe" },
        { minute: 51, side: 0, by: "Gonçalo Ramos" },
        { minute: 55, side: 0, by: "Raphaël Guerreiro" },
        { minute: 58, side: 1, by: "Manuel Akanji" },
        { minute: 67, side: 0, by: "Gonçalo Ramos" },
        { minute: 90, added: 2, side: 0, by: "Rafael Leão" },
    ] },
];
