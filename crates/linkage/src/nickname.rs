//! Short forms of given names: English, German, French, Spanish, Italian, Dutch, Polish and Russian ones in common use,
//! compiled for this project. Each line is one group, transliterated as [`crate::normalise`] does.

use std::collections::HashMap;
use std::sync::LazyLock;

const GROUPS: &str = "\
alexander alex alec sandy sasha sascha aleksandr alejandro alessandro xander olek lex
alexandra alexa sandra aleksandra alejandra alessandra lexi ally
abigail abby gail
albert al bert bertie
alfred alf fred fredy freddie alfie
andrew andi andy drew andreas andre andrei andrey andres andrzej
anna ann anne anni annie anita anja ania anya hannah hanna nan
anthony tony antonio anton antoine toni
barbara barb babs babsi basia barbel bobbie
benjamin ben benny bennie benji
bernard bernie bernhard bernd
catherine katherine kathryn kathleen kathi cathy kathy kate katie kat kitty katharina kathrin katrin katja catalina caterina ekaterina katya kasia katarzyna kathie kay cat cathie catharine katharine cate
charles charlie chuck carl karl carlos carlo charly chas chip
christine christina chris tina chrissy kristin kristina cristina christiane
christopher chris kris kit christoph christophe christian cristobal topher
daniel dan danny danil
david dave davey dawid davy
deborah debbie deb debra
dmitri dmitriy dima mitya dmitry
donald don donny
dorothy dot dottie dolly dorothea doris
edward ed eddie ned ted teddy eduard eduardo edouard eddy neddy
elizabeth sissi liz lizzie beth betty betsy eliza elisabeth lisa elise elsbeth liesel ela elzbieta isabel lizbeth bess bessie libby elsie lisbeth bettie
emily em emma emilia emilie
eugene gene evgeny evgeni zhenya yevgeny genie
francis frank fran francisco francesco paco francois franz frans frantz pancho
frances fran francesca franziska francoise
frederick fred freddie fritz friedrich rick federico freddy fredrick
gabriel gabe gabriele
gabriella gaby gabi gabriela gabriele gabrielle
george georgie georg jorge giorgio georges jurgen jorg yuri georgy
gerald gerry jerry gerhard gerd gerard
gertrude trude gertie trudy gertrud
gregory greg grzegorz gregor grigori
harold harry hal
heinrich heinz henry hank harry henri enrique enrico heiner henryk hendrik henk hal
helen helena leni nell nellie ellen elena lena helene jelena yelena nelly ellie
irene irina ira irena
ignacio nacho
ivan vanya john jon johnny jack johannes johann hans juan giovanni gianni jean jan hannes jens ian sean janek johnnie jacky jackie jno
jacob jaap jake jakob jacques jacobo giacomo jakub diego james jim jimmy jamie jaime jem jimmie jimi jas jamey
jane jan janet jenny jeanne joan joanna johanna juana giovanna joanne jana hanne janie janey jeannie
jennifer jen jenny jenna
jessica jess jessie jessy
jonathan jon jonny nathan
joseph joe joey josef jose pepe giuseppe beppe sepp jozef joss
josephine jo josie josefine josefa
joshua josh
judith judy judi jude
kenneth ken kenny
laurence lawrence larry lars lorenz lorenzo laurent laurie lawrie
leonard leo len lenny leonardo leonhard lenard lennie
lewis louis lou ludwig luis luigi lutz louie lew
louise lou luise luisa louisa lulu
ludmila lyudmila lyuda mila
magdalena leni magda lena madeleine madeline maddie
margaret maggie meg peggy marge margie greta gretchen grete margarete margarita marguerite rita margarethe gosia malgorzata madge maisie mag peggie daisy meggie
maria mary marie molly polly mia mimi masha mariya marija miriam mollie mamie minnie may
mark marcus markus marco marc marek
martin marty martino marcin
martha marta marti mattie patty
matthew matthijs matt matty matthias matteo mateo mathieu matthieu mateusz mattie
michael micha mike mick mickey mikey michel miguel michele mikhail misha michal michiel mic mikel
natalie nat natalia natasha natalya
nathaniel nate nat nathan natty
nicholas nick nicky nico nikolaus klaus claus nicolas niklas nikolai kolya nikolay niccolo mikolaj nic nickie
olga olya
oliver ollie olli olivier
pamela pam
patricia pat patty tricia trish patrizia
patrick pat paddy patrice patricio paddie
paul pauly pablo paolo pavel pawel
peter pete pedro pietro pierre piotr pyotr petya petr petey
philip phil phillip philipp philippe felipe filippo pip
rachel rae rahel raquel
raymond ray raimund ramon
rebecca becky becca rebekka becki
richard rick dick ricky rich ricardo riccardo ryszard richie ritchie rickie dicky
robert bob rob bobby robbie bert roberto robin bobbie rab
ronald ron ronny
rosemary rose rosie rosa rosemarie
rudolf rudi rolf rudy
samuel sam sammy sammie
samantha sam sammy sammie
sarah sally sara sadie sallie
sebastian seb basti bastian sebastien
sergey sergei seryozha sergio serge
stanislav stas stanislaw
stephen steff steve steven stefan stephan stevie esteban stefano etienne stephane szczepan stepan ste
stephanie steph steffi stefanie
susan sue suzy susanna susanne suzanne susi suse zuzanna susie sukie
svetlana sveta
tatiana tanya tania tatyana tanja
theodore ted teddy theo theodor fyodor fedor tad
theresa terry tess tessa therese resi teresa tessie
thomas tom tommy tomas tommaso tomasz tommie thos
timothy tim timmy timmie
valentina valya
victoria vicky tori viktoria vika vickie
victor vic viktor vitya vittorio
vincent vince vinny vincenzo vicente vinnie
vladimir vova volodya wladimir
walter walt wally wallie
william bill billy will willie liam wilhelm willy willi guillermo guillaume guglielmo wim helmut billie wm
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
nicole nicki nicky nicola nikki nickie
tobias tobi toby
ursula uschi ulla
wolfgang wolf
zachary zach zack
arthur art artie
augustus gus augustin august augusta
archibald archie archy
bartholomew bart
beatrice bea trixie beatrix
caroline carrie carolyn carol lina
cecilia cecily cissie
clarence clare
clifford cliff
cornelius neil con
douglas doug
eleanor ellie nell nora elinor eleonora lenore
ernest ernie ern
florence flo flossie flora
geoffrey geoff jeff jeffrey
gilbert gil bert
harriet hattie harriett
herbert bert herb bertie
hubert hugh bert
hugh hughie huw
isaac ike zac
jeremiah jerry jem jeremy
josiah joe
julia julie jill
lillian lily lil lilian
lucy lucille lucinda lucie
mabel mab amabel
mildred millie
nancy nan nannie
nora honora norah eleanora
oswald ozzie
peregrine perry
percival percy
reginald reg reggie rex
roger rodge hodge
rosalind ros rosie
sidney sid sydney
solomon sol solly
stuart stu stew stewart
sylvester sly
sylvia sylvie
terence terry
ulysses uly
violet vi
virginia ginny ginger
wilfred wilf fred
winifred winnie freda
winston win";

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
    let known = |name: &str| BY_NAME.get(name).copied();
    let other_ending = || {
        let (stem, ending) = ENDINGS.iter().find_map(|(from, to)| Some((name.strip_suffix(from)?, to)))?;
        known(&[stem, ending].concat())
    };
    known(name).or_else(other_ending).unwrap_or_default()
}

/// The endings of short forms are written in more than one way: `jimmie` is looked up as `jimmy` too.
const ENDINGS: [(&str, &str); 4] = [("ie", "y"), ("ey", "y"), ("i", "y"), ("y", "ie")];

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
