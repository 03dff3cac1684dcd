//! Short forms of given names: English, German, French, Spanish, Italian, Dutch, Polish and Russian ones in common use,
//! compiled for this project. Each line is one group, transliterated as [`crate::normalise`] does.

use std::collections::HashMap;
use std::sync::LazyLock;

const GROUPS: &str = "\
alexander alex alec sandy sasha sascha aleksandr alejandro alessandro xander olek
alexandra alexa sandra aleksandra alejandra alessandra
abigail abby gail
albert al bert
alfred alf fred fredy
andrew andi andy drew andreas andre andrei andrey andres andrzej
anna ann anne anni annie anita anja ania anya hannah hanna nan
anthony tony antonio anton antoine toni
barbara barb babs babsi basia barbel
benjamin ben benny
bernard bernie bernhard bernd
catherine katherine kathryn kathleen kathi cathy kathy kate katie kat kitty katharina kathrin katrin katja catalina caterina ekaterina katya kasia katarzyna
charles charlie chuck carl karl carlos carlo charly
christine christina chris tina chrissy kristin kristina cristina christiane
christopher chris kris kit christoph christophe christian cristobal
daniel dan danny danil
david dave davey dawid
deborah debbie deb debra
dmitri dmitriy dima mitya dmitry
donald don donny
dorothy dot dottie dolly dorothea doris
edward ed eddie ned ted teddy eduard eduardo edouard
elizabeth sissi liz lizzie beth betty betsy eliza elisabeth lisa elise elsbeth liesel ela elzbieta isabel
emily em emma emilia emilie
eugene gene evgeny evgeni zhenya yevgeny
francis frank fran francisco francesco paco francois franz frans frantz pancho
frances fran francesca franziska francoise
frederick fred freddie fritz friedrich rick federico
gabriel gabe gabriele
gabriella gaby gabi gabriela gabriele gabrielle
george georgie georg jorge giorgio georges jurgen jorg yuri
gerald gerry jerry gerhard gerd gerard
gertrude trude gertie trudy gertrud
gregory greg grzegorz gregor grigori
harold harry hal
heinrich heinz henry hank harry henri enrique enrico heiner henryk hendrik henk
helen helena leni nell nellie ellen elena lena helene jelena yelena
irene irina ira irena
ignacio nacho
ivan vanya john jon johnny jack johannes johann hans juan giovanni gianni jean jan hannes jens ian sean janek
jacob jaap jake jakob jacques jacobo giacomo jakub diego james jim jimmy jamie jaime
jane jan janet jenny jeanne joan joanna johanna juana giovanna joanne jana hanne
jennifer jen jenny jenna
jessica jess jessie
jonathan jon jonny nathan
joseph joe joey josef jose pepe giuseppe beppe sepp jozef
josephine jo josie josefine josefa
joshua josh
judith judy judi
kenneth ken kenny
laurence lawrence larry lars lorenz lorenzo laurent
leonard leo len lenny leonardo leonhard
lewis louis lou ludwig luis luigi lutz louie
louise lou luise luisa
ludmila lyudmila lyuda mila
magdalena leni magda lena madeleine madeline maddie
margaret maggie meg peggy marge margie greta gretchen grete margarete margarita marguerite rita margarethe gosia malgorzata
maria mary marie molly polly mia mimi masha mariya marija miriam
mark marcus markus marco marc marek
martin marty martino marcin
martha marta marti
matthew matthijs matt matty matthias matteo mateo mathieu matthieu mateusz
michael micha mike mick mickey mikey michel miguel michele mikhail misha michal michiel
natalie nat natalia natasha natalya
nathaniel nate nat nathan
nicholas nick nicky nico nikolaus klaus claus nicolas niklas nikolai kolya nikolay niccolo mikolaj
olga olya
oliver ollie olli olivier
pamela pam
patricia pat patty tricia trish patrizia
patrick pat paddy patrice patricio
paul pauly pablo paolo pavel pawel
peter pete pedro pietro pierre piotr pyotr petya petr
philip phil phillip philipp philippe felipe filippo
rachel rae rahel raquel
raymond ray raimund ramon
rebecca becky becca rebekka
richard rick dick ricky rich ricardo riccardo ryszard
robert bob rob bobby robbie bert roberto robin
ronald ron ronny
rosemary rose rosie rosa rosemarie
rudolf rudi rolf rudy
samuel sam sammy
samantha sam sammy
sarah sally sara sadie
sebastian seb basti bastian sebastien
sergey sergei seryozha sergio serge
stanislav stas stanislaw
stephen steff steve steven stefan stephan stevie esteban stefano etienne stephane szczepan stepan
stephanie steph steffi stefanie
susan sue suzy susanna susanne suzanne susi suse zuzanna
svetlana sveta
tatiana tanya tania tatyana tanja
theodore ted teddy theo theodor fyodor fedor
theresa terry tess tessa therese resi teresa
thomas tom tommy tomas tommaso tomasz
timothy tim timmy
valentina valya
victoria vicky tori viktoria vika
victor vic viktor vitya vittorio
vincent vince vinny vincenzo vicente
vladimir vova volodya wladimir
walter walt wally
william bill billy will willie liam wilhelm willy willi guillermo guillaume guglielmo wim helmut
amanda mandy
angela angie angelika geli
agnieszka aga agnes agi
charlotte lotte lottie charly
cynthia cindy
emmanuel manuel manu
franziska franzi
isabella isabel isa bella
kimberly kim kimberley
lucas luke luca lukas luc
mohammed mo muhammad mohamed mehmet
monica monika moni
nicole nicki nicky nicola
tobias tobi toby
ursula uschi ulla
wolfgang wolf
zachary zach zack";

static BY_NAME: LazyLock<HashMap<&'static str, [u8; 3]>> = LazyLock::new(|| {
    let mut by_name: HashMap<&str, [u8; 3]> = HashMap::new();
    for (number, line) in (1..).zip(GROUPS.lines()) {
        for name in line.split(' ') {
            if let Some(slot) = by_name.entry(name).or_default().iter_mut().find(|slot| **slot == 0) {
                *slot = number;
            }
        }
    }
    by_name
});

/// The numbers of the groups that a name belongs to, three at most, then zeros.
pub(crate) fn groups(name: &str) -> [u8; 3] {
    BY_NAME.get(name).copied().unwrap_or_default()
}

/// Whether two names share a group.
pub(crate) fn related(left: [u8; 3], right: [u8; 3]) -> bool {
    left.iter().any(|group| *group != 0 && right.contains(group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_are_known_in_both_directions() {
        assert!(related(groups("bill"), groups("william")));
        assert!(related(groups("sascha"), groups("aleksandr")));
        assert!(!related(groups("anna"), groups("maria")));
        assert!(!related(groups("qwerty"), groups("qwerty")));
    }
}
