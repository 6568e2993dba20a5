select
    evenements.evenement_id as declaration_id,
    evenements.attribution_id,
    attributions.zone_id,
    attributions.entreprise_id,
    evenements.survenu_le as declaree_le,
    {{ year_of('evenements.survenu_le') }} as annee,
    {{ month_of('evenements.survenu_le') }} as mois,
    evenements.emplois_crees,
    evenements.emplois_femmes,
    evenements.exportee_le
from {{ ref('stg_sig__evenements') }} as evenements
left join {{ ref('stg_sig__attributions') }} as attributions on evenements.attribution_id = attributions.attribution_id
where evenements.nature = 'emploi'
